# SPDX-License-Identifier: Apache-2.0
"""GPU sampling, against a driver that says what a script tells it to (tests/fake/nvml.c)."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import PYTHON, Ended, command, datastall, only, recorded, shown, shown_text, write

Fake = Callable[..., dict[str, str]]

#: A driver that hangs does so for good; all the rest takes seconds.
NOT_HELD_UP_S = 30

#: One GPU, whose figures do not change.
STEADY = (
    "devices 1",
    "name 0 Fake H100",
    "uuid 0 GPU-12345678-1234",
    "utilization 0 40",
    "memory_used 0 3221225472 5368709120 1073741824",
    "memory_total 0 85899345920",
    "power_mw 0 250000",
    "temperature 0 61",
    "sm_clock 0 1980",
    "mem_clock 0 2619",
)

#: Half a second of waiting, in a program that starts at once.
WAITING = """
import datastall, time
for _ in datastall.watch(time.sleep(5e-3) for _ in range(100)):
    pass
"""


def run_sleep(folder: Path, seconds: float, extra: dict[str, str], code: int = 0) -> Ended:
    script = f"sleep {seconds}; exit {code}"
    ended = datastall("run", "sh", "-c", script, folder=folder, extra=extra)
    assert ended.code == code, ended.err
    return ended


def test_figures(tmp_path: Path, fake_nvml: Fake) -> None:
    write(tmp_path, "prog.py", WAITING)
    recorded(tmp_path, "prog.py", extra=fake_nvml(*STEADY))
    run = shown(tmp_path)
    gpu = only(run["gpus"])
    assert gpu["index"] == 0
    assert gpu["uuid"] == "GPU-12345678-1234"
    assert gpu["name"] == "Fake H100"
    assert (gpu["state"], gpu["error"]) == ("ok", None)
    assert gpu["busy_share"] == pytest.approx(0.40)
    assert gpu["busy_source"] == "nvml"
    assert gpu["mem_total_bytes"] == 85899345920
    assert gpu["power_w_mean"] == pytest.approx(250.0)  # watts, not milliwatts
    assert gpu["power_w_max"] == pytest.approx(250.0)
    assert gpu["temperature_c_max"] == 61
    assert gpu["sm_clock_mhz_mean"] == pytest.approx(1980)
    assert run["gpu_sampling"] == {"state": "ok", "error": None, "ended": None}
    text = shown_text(tmp_path)
    assert "busy 40.0 % (NVML utilisation)" in text
    assert "Fake H100" in text
    assert "250 W" in text


def test_figures_over_time(tmp_path: Path, fake_nvml: Fake) -> None:
    busy, memory, power = [10, 30, 80, 80], [3 << 30, 5 << 30, 1 << 30], [100_000, 300_000, 200_000]

    def line(figure: str, values: list[int]) -> str:
        return " ".join([figure, "0", *map(str, values)])

    script = ("devices 1", line("utilization", busy), line("memory_used", memory))
    script += (line("power_mw", power), "memory_total 0 8589934592", "temperature 0 50 70 60")
    run_sleep(tmp_path, 2.5, fake_nvml(*script))
    gpu = only(shown(tmp_path)["gpus"])
    count = gpu["samples"]
    assert count >= 3  # at 0, 1 and 2 s, and one at the end, where nothing comes between
    assert gpu["busy_samples"] == count
    # A utilisation stands for the time since the sample before: tests/c/test_activity.c.
    assert 0.30 < gpu["busy_share"] < 0.80
    assert gpu["mem_used_peak_bytes"] == 5 << 30
    assert gpu["power_w_max"] == pytest.approx(300.0)
    assert gpu["temperature_c_max"] == 70


def test_several_gpus(tmp_path: Path, fake_nvml: Fake) -> None:
    extra = fake_nvml("devices 3", "utilization 0 10", "utilization 1 90", "temperature 2 30")
    run_sleep(tmp_path, 0.3, extra)
    gpus = shown(tmp_path)["gpus"]
    assert [gpu["index"] for gpu in gpus] == [0, 1, 2]
    assert [gpu["uuid"] for gpu in gpus] == ["GPU-fake-0", "GPU-fake-1", "GPU-fake-2"]
    assert [gpu["busy_share"] for gpu in gpus] == [pytest.approx(0.1), pytest.approx(0.9), None]
    assert [gpu["busy_source"] for gpu in gpus] == ["nvml", "nvml", None]
    assert "busy unknown" in shown_text(tmp_path)


def test_what_is_not_supported_is_unknown(tmp_path: Path, fake_nvml: Fake) -> None:
    run_sleep(tmp_path, 0.3, fake_nvml("devices 1", "utilization 0 55"))
    gpu = only(shown(tmp_path)["gpus"])
    assert gpu["state"] == "ok"
    assert gpu["busy_share"] == pytest.approx(0.55)
    for key in ("mem_used_peak_bytes", "mem_total_bytes", "power_w_mean", "power_w_max"):
        assert gpu[key] is None
    assert gpu["temperature_c_max"] is gpu["sm_clock_mhz_mean"] is None


def test_an_old_driver(tmp_path: Path, fake_nvml: Fake) -> None:
    """Without the _v2 names, and without power."""
    run_sleep(tmp_path, 0.3, fake_nvml(*STEADY, library="nvml-old"))
    gpu = only(shown(tmp_path)["gpus"])
    assert gpu["busy_share"] == pytest.approx(0.40)
    assert gpu["mem_total_bytes"] == 85899345920
    assert gpu["power_w_mean"] is gpu["power_w_max"] is None
    assert gpu["temperature_c_max"] == 61


def test_no_driver(tmp_path: Path, no_driver: dict[str, str]) -> None:
    run_sleep(tmp_path, 0.3, no_driver)
    run = shown(tmp_path)
    assert run["gpus"] == []
    assert run["gpu_sampling"] == {"state": "absent", "error": 12, "ended": None}
    assert "none seen (no NVIDIA driver library)" in shown_text(tmp_path)


def test_a_driver_without_gpus(tmp_path: Path, fake_nvml: Fake) -> None:
    run_sleep(tmp_path, 0.3, fake_nvml("devices 0"))
    run = shown(tmp_path)
    assert run["gpus"] == []
    assert run["gpu_sampling"]["state"] == "absent"


def test_a_driver_that_is_not_loaded(tmp_path: Path, fake_nvml: Fake) -> None:
    run_sleep(tmp_path, 0.3, fake_nvml("devices 1", "fail init 9"))
    run = shown(tmp_path)
    assert run["gpus"] == []
    assert run["gpu_sampling"] == {"state": "failed", "error": 9, "ended": None}
    assert "NVML failed: the driver is not loaded (9)" in shown_text(tmp_path)


def test_a_gpu_that_is_lost(tmp_path: Path, fake_nvml: Fake) -> None:
    """It falls off the bus at the second sample; the other one is sampled on."""
    script = ("devices 2", "utilization 0 70", "utilization 1 20", "fail utilization 0 15 2")
    run_sleep(tmp_path, 1.5, fake_nvml(*script))
    lost, other = shown(tmp_path)["gpus"]
    assert (lost["state"], lost["error"]) == ("lost", 15)
    assert lost["busy_share"] == pytest.approx(0.70)  # of the samples that it gave
    assert lost["busy_samples"] == 1
    assert (other["state"], other["error"]) == ("ok", None)
    assert other["busy_samples"] >= 2
    assert "its last reading failed: the GPU is lost" in shown_text(tmp_path)


#: One GPU with counters of its own.
COUNTED = (*STEADY, "gpm_activity 0 12500", "gpm_sm 0 8000", "gpm_tensor 0 2000", "gpm_dram 0 4000")


def test_activity_from_gpm(tmp_path: Path, fake_nvml: Fake) -> None:
    """GPM's activity is taken before NVML's utilisation, which the script sets to 40 %."""
    extra = fake_nvml(*COUNTED, "gpm_pcie_rx 0 512000")
    run_sleep(tmp_path, 2.2, extra)
    gpu = only(shown(tmp_path)["gpus"])
    assert gpu["busy_source"] == "gpm"
    assert gpu["busy_share"] == pytest.approx(0.125, abs=1e-5)
    assert gpu["gpm"]["sm_share"] == pytest.approx(0.08, abs=1e-5)
    assert gpu["gpm"]["tensor_share"] == pytest.approx(0.02, abs=1e-5)
    assert gpu["gpm"]["dram_bandwidth_share"] == pytest.approx(0.04, abs=1e-5)
    assert gpu["gpm"]["pcie_rx_bytes_per_s"] == pytest.approx(512 * 2**20, rel=1e-4)
    assert gpu["gpm"]["sm_occupancy_share"] is None  # the driver said "not a number"
    assert gpu["gpm"]["pcie_tx_bytes_per_s"] is gpu["gpm"]["nvlink_rx_bytes_per_s"] is None
    observed_s = gpu["busy_s"] + gpu["idle_s"] + gpu["unknown_s"]
    assert 0 < observed_s <= shown(tmp_path)["run"]["duration_s"]
    assert gpu["busy_s"] == pytest.approx(observed_s * 0.125, rel=1e-3)
    assert gpu["unknown_s"] == 0.0
    # No DataLoader ran: nothing is known of stalls, and so of other idle time.
    assert gpu["other_idle_share"] is None
    assert "busy 12.5 %   Fake H100" in shown_text(tmp_path)


def test_activity_over_time(tmp_path: Path, fake_nvml: Fake) -> None:
    extra = fake_nvml("devices 1", "gpm_activity 0 10000 90000")
    run_sleep(tmp_path, 2.5, extra)
    gpu = only(shown(tmp_path)["gpus"])
    assert 0.1 < gpu["busy_share"] < 0.9


def test_gpm_that_is_not_permitted(tmp_path: Path, fake_nvml: Fake) -> None:
    """NVML's utilisation stands in, and says so."""
    run_sleep(tmp_path, 1.3, fake_nvml(*COUNTED, "fail gpm_sample 0 4"))
    gpu = only(shown(tmp_path)["gpus"])
    assert (gpu["state"], gpu["busy_source"]) == ("ok", "nvml")
    assert gpu["busy_share"] == pytest.approx(0.40)
    assert gpu["gpm"]["sm_share"] is None


def test_gpm_that_stops(tmp_path: Path, fake_nvml: Fake) -> None:
    """A mixture of both sources is no exact one."""
    run_sleep(tmp_path, 3.3, fake_nvml(*COUNTED, "fail gpm_sample 0 999 3"))
    gpu = only(shown(tmp_path)["gpus"])
    assert gpu["busy_source"] == "nvml"
    assert 0.125 < gpu["busy_share"] < 0.40


def test_unknown_time(tmp_path: Path, fake_nvml: Fake) -> None:
    """Time in which the GPU did not answer is neither busy nor idle."""
    run_sleep(tmp_path, 3.2, fake_nvml("devices 1", "utilization 0 50", "fail utilization 0 15 3"))
    gpu = only(shown(tmp_path)["gpus"])
    assert gpu["state"] == "lost"
    assert gpu["busy_s"] == pytest.approx(gpu["idle_s"], rel=1e-6) and gpu["busy_s"] > 0
    assert gpu["unknown_s"] > 0
    told_s = gpu["busy_s"] + gpu["idle_s"] + gpu["unknown_s"]
    assert told_s <= shown(tmp_path)["run"]["duration_s"]


def test_energy_and_clocks(tmp_path: Path, fake_nvml: Fake) -> None:
    extra = fake_nvml(*STEADY, "held 0 4 4 72")
    run_sleep(tmp_path, 2.2, extra)
    gpu = only(shown(tmp_path)["gpus"])
    observed_s = gpu["busy_s"] + gpu["idle_s"] + gpu["unknown_s"]
    assert gpu["energy_j"] == pytest.approx(250 * observed_s, rel=1e-3)
    # 4: the power limit, for a second; 72: the hardware slows down, and says that it is heat.
    power, heat = (gpu["clocks_held_share"][reason] for reason in ("power", "thermal"))
    assert 0 < power < 1 and heat == pytest.approx(1 - power, abs=1e-6)
    assert gpu["clocks_held_share"]["hardware"] == 0.0
    text = shown_text(tmp_path)
    assert "clocks held back by the power limit for " in text
    assert "clocks held back by heat for " in text
    assert "by the hardware" not in text


def test_energy_and_clocks_that_are_not_known(tmp_path: Path, fake_nvml: Fake) -> None:
    run_sleep(tmp_path, 1.2, fake_nvml("devices 1", "utilization 0 50"))
    gpu = only(shown(tmp_path)["gpus"])
    assert gpu["energy_j"] is None
    assert gpu["clocks_held_share"] == {"power": None, "thermal": None, "hardware": None}
    assert gpu["energy_while_stalled_j"] == {"lower": None, "upper": None}


def test_mig_instances(tmp_path: Path, fake_nvml: Fake) -> None:
    """Each instance is a device of its own, beside the GPU that it is part of."""
    extra = fake_nvml(
        *("devices 2", "uuid 0 GPU-aa", "uuid 1 GPU-bb", "utilization 1 70"),
        *("mig_of 5 0 3 0", "uuid 5 MIG-11", "gpm_activity 5 25000", "memory_used 5 1024"),
        *("memory_total 5 4096", "mig_of 6 0 4 1", "uuid 6 MIG-12", "gpm_activity 6 75000"),
    )
    run_sleep(tmp_path, 1.3, extra)
    whole, one, two, other = shown(tmp_path)["gpus"]
    assert [gpu["uuid"] for gpu in (whole, one, two, other)] == [
        *("GPU-aa", "MIG-11", "MIG-12", "GPU-bb")
    ]
    assert [gpu["index"] for gpu in (whole, one, two, other)] == [0, 0, 0, 1]
    assert (one["gpu_instance"], one["compute_instance"]) == (3, 0)
    assert (two["gpu_instance"], two["compute_instance"]) == (4, 1)
    assert whole["gpu_instance"] is other["compute_instance"] is None
    assert whole["busy_share"] is None  # NVML gives no utilisation under MIG
    assert one["busy_share"] == pytest.approx(0.25)
    assert two["busy_share"] == pytest.approx(0.75)
    assert one["mem_total_bytes"] == 4096
    assert "MIG 0" in shown_text(tmp_path)


def test_bounds_from_activity(tmp_path: Path, fake_nvml: Fake) -> None:
    """A GPU is used and no event saw the waits: waits and activity bound the stall together."""
    source = """
    import time
    from datastall import _core, _hooks
    import datastall

    def slow():
        for _ in range(20):
            time.sleep(0.1)
            yield 1

    for _ in datastall.watch(slow()):
        _hooks.monitor().note_accelerator(True)
        time.sleep(0.1)
    """
    write(tmp_path, "prog.py", source)
    # Half of the time is waiting; the GPU is idle for 70 %: at least 20 %, at most 50 % stalled.
    recorded(tmp_path, "prog.py", extra=fake_nvml("devices 1", "gpm_activity 0 30000"))
    run = shown(tmp_path)
    verdict, process = run["verdict"], only(run["processes"])
    assert (verdict["method"], verdict["upper_bound"]) == ("host-bound", True)
    waited = verdict["worst_share"]  # about half
    assert 0.3 < waited < 0.7
    assert verdict["worst_share_lower"] == pytest.approx(waited - 0.3, abs=1e-3)
    window_s = run["window"]["duration_s"]
    assert process["input_stall_lower_s"] == pytest.approx((waited - 0.3) * window_s, rel=0.01)
    assert f"at most {waited:.1%}".rstrip("%") in verdict["text"]
    assert ", at least " in verdict["text"]


def test_bounds_from_utilisation(tmp_path: Path, fake_nvml: Fake) -> None:
    """It calls a GPU busy that is not: good for a lower bound only."""
    source = """
    import time
    from datastall import _hooks
    import datastall

    for _ in datastall.watch(time.sleep(0.1) or 1 for _ in range(25)):
        _hooks.monitor().note_accelerator(True)
    """
    write(tmp_path, "prog.py", source)
    recorded(tmp_path, "prog.py", extra=fake_nvml("devices 1", "utilization 0 90"))
    verdict = shown(tmp_path)["verdict"]
    assert verdict["worst_share"] > 0.9
    assert verdict["worst_share_lower"] == pytest.approx(verdict["worst_share"] - 0.9, abs=1e-3)


HANGS = {
    "at once": ["hang init"],
    "first sample": ["hang utilization 0"],
}


@pytest.mark.parametrize("name", HANGS)
def test_a_driver_that_hangs(tmp_path: Path, fake_nvml: Fake, name: str) -> None:
    """The command is not held up, and the summary says that the driver did not answer."""
    extra = fake_nvml("devices 1", *HANGS[name])
    begin = time.monotonic()
    run_sleep(tmp_path, 1.3, extra, code=6)
    assert time.monotonic() - begin < NOT_HELD_UP_S
    assert "did not answer" in shown_text(tmp_path)


def test_a_slow_driver_is_sampled_less_often(tmp_path: Path, fake_nvml: Fake) -> None:
    extra = fake_nvml("devices 1", "utilization 0 30", "delay_us utilization 700000")
    begin = time.monotonic()
    run_sleep(tmp_path, 1.2, extra)
    assert time.monotonic() - begin < NOT_HELD_UP_S
    gpu = only(shown(tmp_path)["gpus"])
    assert gpu["samples"] >= 1
    assert gpu["busy_share"] == pytest.approx(0.30)


def test_checks_of_idle(tmp_path: Path, fake_nvml: Fake) -> None:
    write(tmp_path, "prog.py", WAITING)
    script = ("devices 3", "utilization 0 95", "utilization 1 60", "utilization 2 0")
    recorded(tmp_path, "prog.py", extra=fake_nvml(*script))

    def code(*conditions: str) -> int:
        words = [word for condition in conditions for word in ("--check", condition)]
        return datastall("show", *words, folder=tmp_path).code

    # The worst of those that did anything: the idle third one is somebody else's.
    assert code("idle<41") == code("idle>39", "idle<=41%") == code("stall>50") == 0
    assert code("idle<39") == code("idle<41", "stall<1") == 1


def library_run(folder: Path, extra: dict[str, str], seconds: float) -> dict[str, Any]:
    """A program that records by itself, without the launcher."""
    source = f"""
    import datastall, time
    for _ in datastall.watch(time.sleep({seconds} / 10) for _ in range(10)):
        pass
    """
    write(folder, "prog.py", source)
    begin = time.monotonic()
    ended = command([PYTHON, "prog.py"], folder, extra)
    assert ended.code == 0, ended.err
    assert time.monotonic() - begin < NOT_HELD_UP_S
    return shown(folder)


def test_used_as_a_library(tmp_path: Path, fake_nvml: Fake) -> None:
    run = library_run(tmp_path, fake_nvml(*STEADY), 0.5)
    gpu = only(run["gpus"])
    assert gpu["busy_share"] == pytest.approx(0.40)
    assert gpu["power_w_mean"] == pytest.approx(250.0)
    assert only(run["loaders"])["batches"] == 10


@pytest.mark.parametrize("fault", ["hang init", "hang utilization 0", "fail init 9"])
def test_faults_do_not_hold_up_a_program(tmp_path: Path, fake_nvml: Fake, fault: str) -> None:
    run = library_run(tmp_path, fake_nvml(*STEADY, fault), 0.3)
    assert only(run["loaders"])["batches"] == 10
