# SPDX-License-Identifier: Apache-2.0
"""`datastall serve` and `export`: what they say is what `show --json` says, in form and figures."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from live import (
    OPENMETRICS,
    Serving,
    ns,
    parse,
    prometheus,
    promtool,
    serving,
    until,
    value,
    values,
)
from support import (
    DATASTALL,
    PYTHON,
    command,
    datastall,
    finish,
    only,
    recorded,
    run_folders,
    shown,
    start,
    write,
)

Fake = Callable[..., dict[str, str]]

#: Trains on a real DataLoader until the file `enough` is there: two loaders, a stage, tokens.
TRAINING = """
import pathlib, torch, datastall
from torch.utils.data import DataLoader, Dataset

class Rows(Dataset):
    def __len__(self):
        return 64
    def __getitem__(self, index):
        torch.randn(40, 40) @ torch.randn(40, 40)
        return {"input_ids": torch.ones(16, dtype=torch.long),
                "attention_mask": (torch.arange(16) < 4 + index % 12).long()}

train, validate = DataLoader(Rows(), batch_size=4), DataLoader(Rows(), batch_size=8)
for epoch in range(10000):
    with datastall.stage("train"):
        for batch in train:
            torch.randn(100, 100) @ torch.randn(100, 100)
    with datastall.stage("validate"):
        for batch in validate:
            pass
    pathlib.Path("begun").touch()
    if pathlib.Path("enough").exists():
        break
"""

GPU = (
    "devices 1",
    "uuid 0 GPU-12345678-1234",
    "utilization 0 40",
    "memory_used 0 3221225472",
    "memory_total 0 85899345920",
    "power_mw 0 250000",
    "temperature 0 61",
    "sm_clock 0 1980",
)


def compare_loaders(series: Any, run: dict[str, Any]) -> None:
    """Every counter of every loader, exactly: counts as they are, times to the nanosecond."""
    for loader in run["loaders"]:
        labels = {"run": run["run"]["id"], "loader": loader["name"]}
        if loader["rank"] is not None:
            labels["rank"] = str(loader["rank"])

        def said(name: str, labels: dict[str, str] = labels, **more: str) -> str:
            return value(series, name, **labels, **more)

        assert said("datastall_batches_total") == str(loader["batches"])
        assert said("datastall_iterators_total") == str(loader["iterators"])
        assert said("datastall_input_errors_total") == str(loader["failed_ms"]["count"])
        for key in ("samples", "tokens"):
            expected = [] if loader[key] is None else [str(loader[key])]
            assert values(series, f"datastall_{key}_total", **labels) == expected
        for name, key in (("wait", "wait_ms"), ("startup_wait", "startup_ms")):
            metric = f"datastall_input_{name}_seconds"
            assert said(f"{metric}_count") == str(loader[key]["count"])
            assert said(f"{metric}_bucket", le="+Inf") == str(loader[key]["count"])
            assert ns(said(f"{metric}_sum")) == ns(loader[key]["sum"] / 1e3)
        assert ns(said("datastall_input_waiting_seconds_total")) == ns(loader["waiting_s"])
        queue = loader["queue_state"]
        steady = "datastall_input_wait_seconds_bucket"
        assert int(said(steady, le="0.05")) == queue["full"] + queue["normal"]
        assert int(said(steady, le="0.001")) == queue["full"]
        if run["verdict"]["method"] == "host-exact":
            stall = said("datastall_input_stall_seconds_total", method="host-exact")
            assert ns(stall) == ns(loader["waiting_s"])


def compare_stages(series: Any, run: dict[str, Any]) -> None:
    for stage in run["stages"]:
        labels = {"run": run["run"]["id"], "stage": stage["name"]}
        assert value(series, "datastall_stage_batches_total", **labels) == str(stage["batches"])
        for key in ("duration", "waiting"):
            name = f"datastall_stage_{'' if key == 'duration' else key + '_'}seconds_total"
            assert ns(value(series, name, **labels)) == ns(stage[f"{key}_s"])


def compare_gpus(series: Any, run: dict[str, Any]) -> None:
    for gpu in run["gpus"]:
        labels = {"run": run["run"]["id"], "uuid": gpu["uuid"]}
        assert value(series, "datastall_gpu_samples_total", **labels) == str(gpu["samples"])
        for key in ("busy", "idle", "unknown"):
            name = f"datastall_gpu_{key}_seconds_total"
            assert ns(value(series, name, **labels)) == ns(gpu[f"{key}_s"])
        joules = float(value(series, "datastall_gpu_energy_joules_total", **labels))
        assert joules == pytest.approx(gpu["energy_j"], abs=1e-6)


def stored(ask: Callable[[str], list[dict[str, Any]]]) -> Any:
    """Everything that Prometheus holds of the last scrape, as serving.series() gives it."""
    found = {}
    for sample in ask('{__name__=~"datastall_.*"}'):
        labels = dict(sample["metric"])
        name = labels.pop("__name__")
        del labels["instance"], labels["job"]
        found[name, frozenset(labels.items())] = sample["value"][1]
    return found


def test_prometheus_stores_what_show_says(tmp_path: Path, fake_nvml: Fake) -> None:
    """A real server, a real training; the totals at the end, and no counter that went back."""
    write(tmp_path, "train.py", TRAINING)
    argv = [DATASTALL, "run", PYTHON, "train.py"]
    with serving(tmp_path) as served:
        training = start(argv, tmp_path, fake_nvml(*GPU))
        with (
            ended_by_file(training, tmp_path / "enough"),
            prometheus(tmp_path, [f"127.0.0.1:{served.port}"]) as ask,
        ):
            until("it trains", (tmp_path / "begun").exists)
            until("it is stored", lambda: ask("datastall_batches_total > 0"))
            live = parse(served.get()[2])
            assert value(live, "datastall_run_running") == "1"
            assert value(live, "datastall_gpu_power_watts") == "250"
            assert value(live, "datastall_gpu_memory_used_bytes") == "3221225472"
            assert value(live, "datastall_gpu_up") == "1"
            time.sleep(2)
            (tmp_path / "enough").touch()
            training.wait(120)
            until("the end is stored", lambda: ask("datastall_run_running == 0"))
            run = shown(tmp_path)
            kept = stored(ask)
            for series in (kept, served.series()):
                compare_loaders(series, run)
                compare_stages(series, run)
                compare_gpus(series, run)
            ended = parse(served.get()[2])
            assert values(ended, "datastall_gpu_power_watts") == []  # not known any more
            assert value(ended, "datastall_run_exit_status") == "0"
            counters = {n for n, _ in kept if n.endswith(("_total", "_bucket", "_sum", "_count"))}
            assert len(counters) > 20
            for name in counters:
                resets = ask(f"resets({name}[1h])")
                assert {sample["value"][1] for sample in resets} == {"0"}, (name, resets)
            grown = ask("increase(datastall_batches_total[1h]) > 0")
            assert len(grown) >= 1


def test_promtool_accepts_both_texts(tmp_path: Path, fake_nvml: Fake) -> None:
    write(tmp_path, "train.py", TRAINING)
    (tmp_path / "enough").touch()
    recorded(tmp_path, "train.py", extra=fake_nvml(*GPU))
    with serving(tmp_path) as served:
        code, content_type, text = served.get()
        assert (code, content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
        checked = promtool("check", "metrics", text=text)
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
        code, content_type, open_text = served.get(accept=OPENMETRICS)
        assert content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8"
        assert open_text.endswith("\n# EOF\n")
        assert parse(text) == parse(open_text)
        check_openmetrics(open_text)
    for form, expected in (("prometheus", text), ("openmetrics", open_text)):
        exported = datastall("export", "--format", form, "--dir", "datastall-runs", folder=tmp_path)
        assert exported.code == 0
        assert exported.out == expected


def test_why_and_depth(tmp_path: Path) -> None:
    """What the stalls of a DataLoader came from, and how full its queue was: as `show` says."""
    source = """
    import time, torch
    from torch.utils.data import DataLoader, Dataset

    class Slow(Dataset):
        def __len__(self):
            return 20
        def __getitem__(self, index):
            time.sleep(0.1)  # most of the stall on a busy machine too
            return torch.zeros(4)

    for _ in DataLoader(Slow(), batch_size=2, num_workers=1):
        pass
    """
    write(tmp_path, "train.py", source)
    recorded(tmp_path, "train.py")
    loader = shown(tmp_path)["loaders"][0]
    exported = datastall(
        "export", "--format", "prometheus", "--dir", "datastall-runs", folder=tmp_path
    )
    causes = dict(
        re.findall(r'input_stall_cause_seconds_total\{.*cause="(\w+)"\} (\S+)', exported.out)
    )
    shares = loader["why"]["shares"]
    total = sum(map(float, causes.values()))
    assert total == pytest.approx(loader["why"]["stall_s"], rel=1e-6)
    for cause, seconds in causes.items():
        assert float(seconds) == pytest.approx(shares[cause] * total, rel=1e-6, abs=1e-9)
    assert {cause for cause, share in shares.items() if share > 0} == set(causes)
    assert float(causes["blocked"]) > 0
    ready = dict(re.findall(r"prefetch_ready_batches_(sum|count)\{.*\} (\S+)", exported.out))
    assert int(ready["count"]) == loader["depth"]["waits"]
    assert float(ready["sum"]) / int(ready["count"]) == pytest.approx(loader["depth"]["ready_mean"])
    assert re.search(r"prefetch_possible_batches\{.*\} 2$", exported.out, re.MULTILINE)
    top = datastall("top", "--once", "--dir", "datastall-runs", folder=tmp_path)
    assert loader["why"]["primary"] in top.out


def check_openmetrics(text: str) -> None:
    """The rules of OpenMetrics 1.0 that a text of the older format would break."""
    families: dict[str, dict[str, str]] = {}
    family = ""
    for line in text.splitlines()[:-1]:
        if line.startswith("# "):
            _, what, name, rest = line.split(" ", 3)
            if name != family:
                assert name not in families, f"{name} is not in one piece"
                families[name] = {}
                family = name
            families[name][what] = rest
            if what == "UNIT":
                assert name.endswith(f"_{rest}")
            continue
        sample = line.split("{")[0]
        suffixes = {
            "counter": ("_total",),
            "gauge": ("",),
            "histogram": ("_bucket", "_count", "_sum"),
        }[families[family]["TYPE"]]
        assert any(sample == family + suffix for suffix in suffixes), line
    assert len(families) > 25


def test_export_to_a_file(tmp_path: Path) -> None:
    write(tmp_path, "train.py", TRAINING)
    (tmp_path / "enough").touch()
    recorded(tmp_path, "train.py")
    run = run_folders(tmp_path)[0].name
    (tmp_path / "collected").mkdir()
    file = tmp_path / "collected" / "datastall.prom"

    def export(*arguments: str) -> int:
        return datastall("export", "-o", str(file), *arguments, folder=tmp_path).code

    assert export(run, "-f", "prometheus") == 0
    assert value(parse(file.read_text()), "datastall_run_running", run=run) == "0"
    assert file.stat().st_mode & 0o777 == 0o644
    assert export(run) == 1  # never without --force
    assert export(run, "--force") == 0
    assert file.read_text().endswith("# EOF\n")
    assert [path.name for path in file.parent.iterdir()] == ["datastall.prom"]
    assert export("--format", "xml", run) == 2
    assert export("no-such-run", "--force") == 1
    file.unlink()
    assert datastall("export", "-o", "no/such/folder/f", folder=tmp_path).code == 1


def test_runs_come_and_go(tmp_path: Path) -> None:
    """Listed while it runs and after; not a run of another boot, nor one that ended long ago."""
    write(tmp_path, "train.py", TRAINING)
    with serving(tmp_path) as served:
        assert values(served.series(), "datastall_run_info") == []
        (tmp_path / "enough").touch()
        recorded(tmp_path, "train.py", options=["--name", "first"])
        folder = run_folders(tmp_path)[0]
        until("found", lambda: values(served.series(), "datastall_run_info", name="first"))
        recorded(tmp_path, "train.py", options=["--name", "second"])
        until("both", lambda: len(values(served.series(), "datastall_run_info")) == 2)
        foreign = folder.with_name("20200101-000000-foreign")
        shutil.copytree(folder, foreign)
        for file in foreign.glob("*.dsrun"):
            change_boot(file)
        shutil.rmtree(folder)
        until("gone", lambda: len(values(served.series(), "datastall_run_info")) == 1)
        time.sleep(1.2)
        assert values(served.series(), "datastall_run_info", run=foreign.name) == []
    named = datastall("export", foreign.name, folder=tmp_path)
    assert value(parse(named.out), "datastall_run_info", run=foreign.name) == "1"


def change_boot(file: Path) -> None:
    """As if it came from another machine; with the checksum that fits (layout.h)."""
    data = bytearray(file.read_bytes())
    boot_at, sum_at, header_bytes = 48, 104, 104 + 8 + 24 * 128
    data[boot_at : boot_at + 8] = b"00000000"
    data[sum_at : sum_at + 8] = bytes(8)
    checksum = 14695981039346656037
    for byte in data[:header_bytes]:
        checksum = (checksum ^ byte) * 1099511628211 % 2**64
    data[sum_at : sum_at + 8] = checksum.to_bytes(8, "little")
    file.write_bytes(data)


def test_runs_are_found_by_their_processes(tmp_path: Path) -> None:
    """Started elsewhere, with a folder of their own, by the launcher or without it."""
    elsewhere, library, server = (tmp_path / name for name in ("elsewhere", "library", "server"))
    for folder in (elsewhere, library, server):
        folder.mkdir()
    write(elsewhere, "train.py", TRAINING)
    source = """
    import datastall, pathlib, time
    for _ in datastall.watch(iter(lambda: time.sleep(0.01), 1), name="by-hand"):
        if pathlib.Path("enough").exists():
            break
    """
    write(library, "loop.py", source)
    argv = [DATASTALL, "run", "--dir", "kept here", "--name", "found", PYTHON, "train.py"]
    with serving(server, own=False) as served:
        with ended_by_file(start(argv, elsewhere), elsewhere / "enough"):
            until("found", lambda: values(served.series(), "datastall_run_info", name="found"))
        with ended_by_file(start([PYTHON, "loop.py"], library), library / "enough"):
            until("it waits", lambda: run_folders(library))
            run = only(run_folders(library)).name
            until("found", lambda: values(served.series(), "datastall_batches_total", run=run))
        until(
            "it ended and stays listed",
            lambda: values(served.series(), "datastall_run_running", run=run) == ["0"],
        )


@contextmanager
def ended_by_file(process: subprocess.Popen[str], file: Path) -> Iterator[None]:
    """The program ends well when the file is there, which it is at the end."""
    try:
        yield
    finally:
        file.touch()
        assert finish(process).code == 0


def test_a_killed_run(tmp_path: Path) -> None:
    write(tmp_path, "train.py", TRAINING)
    with serving(tmp_path) as served:
        training = start([DATASTALL, "run", PYTHON, "train.py"], tmp_path)
        until("it trains", (tmp_path / "begun").exists)
        until("it is found", lambda: values(served.series(), "datastall_batches_total"))
        subprocess.run(["pkill", "-KILL", "-s", str(training.pid)], check=True)
        training.communicate()
        until("died", lambda: values(served.series(), "datastall_run_processes", state="died"))
        until(
            "it died",
            lambda: value(served.series(), "datastall_run_processes", state="died") == "1",
        )
        series, run = served.series(), shown(tmp_path)
        compare_loaders(series, run)
        assert values(series, "datastall_run_exit_status") == []


def test_pages_and_paths(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        assert served.get("/healthz") == (200, "text/plain; charset=utf-8", "ok\n")
        code, content_type, text = served.get("/")
        assert (code, content_type) == (200, "text/html; charset=utf-8")
        assert "Content-Security-Policy" in text and "connect-src 'self'" in text
        assert served.get("/metrics?name[]=x")[0] == 200
        tricks = ("/metrics/", "/../etc/passwd", "//etc/passwd", "/%2e%2e/%2e%2e/etc/passwd")
        for path in (*tricks, "/metrics%00", "/metrics/../../proc/self/environ", "/x" * 3000):
            assert served.get(path)[0] == 404, path


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    (tmp_path / "public").write_text("user:secret\n")
    (tmp_path / "public").chmod(0o644)
    (tmp_path / "empty").write_text("")
    (tmp_path / "empty").chmod(0o600)
    (tmp_path / "unset").write_text("ann:x\nbob:\n")
    (tmp_path / "unset").chmod(0o600)
    os.mkfifo(tmp_path / "fifo", 0o600)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        cases = [
            (["--listen", "nonsense"], 2, "not of the form ADDR:PORT"),
            (["--listen", "127.0.0.1:70000"], 2, "not of the form ADDR:PORT"),
            (["--listen", "::1:80"], 2, "not of the form ADDR:PORT"),
            (["--listen", f"127.0.0.1:{port}"], 1, "cannot listen"),
            (["--listen", "192.0.2.1:0"], 1, "cannot listen"),
            (["--auth-file", "public"], 1, "chmod 600"),
            (["--auth-file", "missing"], 1, "cannot open missing"),
            (["--auth-file", "empty"], 2, "USER:PASSWORD"),
            (["--auth-file", "unset"], 2, "line 2 of unset has no password"),
            (["--auth-file", "fifo"], 1, "not a small regular file"),
            (["--tls-cert", "public"], 2, "belong together"),
            (["--tls-cert", "public", "--tls-key", "empty"], 1, "PEM"),
            (["extra"], 2, "takes no argument"),
            (["--nonsense"], 2, "unknown option"),
        ]
        for arguments, code, words in cases:
            ended = datastall("serve", *arguments, folder=tmp_path)
            assert ended.code == code, (arguments, ended.err)
            assert words in ended.err, (arguments, ended.err)
            assert len(ended.said) == 1


def test_without_the_library(tmp_path: Path) -> None:
    """All else works, and `serve` names the package."""
    for name in ("libmicrohttpd.so.12", "libmicrohttpd.so"):
        (tmp_path / name).write_text("not a library\n" * 100)
    extra = {"LD_LIBRARY_PATH": str(tmp_path)}
    ended = datastall("serve", folder=tmp_path, extra=extra)
    assert ended.code == 1
    assert "install the package libmicrohttpd12" in ended.err
    assert datastall("export", "--dir", "none", folder=tmp_path, extra=extra).code == 0


def test_passwords(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.write_bytes(b"\xef\xbb\xbfmonitor:open sesame\r\n# gone:away\r\nother:x:y\r\n")
    secrets.chmod(0o600)
    with serving(tmp_path, "--auth-file", "secrets") as served:

        def code(path: str, credentials: str | None) -> int:
            request = urllib.request.Request(served.url + path)
            if credentials is not None:
                word = base64.b64encode(credentials.encode()).decode()
                request.add_header("Authorization", f"Basic {word}")
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return int(answer.status)
            except urllib.error.HTTPError as error:
                return int(error.code)

        assert code("/metrics", "monitor:open sesame") == 200
        assert code("/", "other:x:y") == 200
        assert code("/healthz", None) == 200
        wrong = ("monitor:", "monitor:open", "monitor:open sesame!", "other:x", ":", "", "nobody")
        for credentials in (None, *wrong, "monitor:x:y", "MONITOR:open sesame", "# gone:away"):
            assert code("/metrics", credentials) == 401, credentials


def asked_for(served: Serving, host: str | None, path: str = "/metrics") -> int:
    """The status of a request under a name."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    if host is None:  # as only a client older than HTTP/1.1 may
        connection._http_vsn, connection._http_vsn_str = 10, "HTTP/1.0"  # type: ignore[attr-defined]
    connection.putrequest("GET", path, skip_host=True)
    if host is not None:
        connection.putheader("Host", host)
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    return status


def test_names_it_answers_to(tmp_path: Path) -> None:
    """A page that makes its own name lead here (DNS rebinding) reads nothing."""
    own = socket.gethostname()
    with serving(tmp_path, "--host-name", "gpu.example", "--host-name", "proxy") as served:
        for host in ("localhost", "127.0.0.1:1", "[::1]", own, "GPU.example:80", "proxy", None):
            assert asked_for(served, host) == 200, host
        for host in (
            "evil.example",
            f"{own}.evil.example",
            "localhost.evil.example",
            "127.0.0.1.x",
        ):
            for path in ("/metrics", "/", "/healthz", "/nothing"):
                assert asked_for(served, host, path) == 421, (host, path)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    argv += ["-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost"]
    argv += ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(argv, cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "key.pem").chmod(0o600)
    return tmp_path / "cert.pem"


def test_tls(tmp_path: Path, certificate: Path) -> None:
    with serving(tmp_path, "--tls-cert", "cert.pem", "--tls-key", "key.pem") as served:
        assert served.url.startswith("https://")
        trust = ssl.create_default_context(cafile=str(certificate))
        with urllib.request.urlopen(served.url + "/metrics", context=trust, timeout=60) as answer:
            assert b"datastall_build_info" in answer.read()
        with socket.create_connection(("127.0.0.1", served.port), timeout=60) as plain:
            plain.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"datastall" not in plain.recv(4096)
        with urllib.request.urlopen(served.url + "/healthz", context=trust, timeout=60) as answer:
            assert answer.status == 200


def test_runs_on_tmpfs_are_read_where_they_are(tmp_path: Path) -> None:
    write(tmp_path, "train.py", TRAINING)
    with serving(tmp_path) as served:
        extra = {"DATASTALL_RECORD_ON": "tmpfs"}
        training = start([DATASTALL, "run", PYTHON, "train.py"], tmp_path, extra)
        until("it trains", (tmp_path / "begun").exists)
        last = until("it is found", lambda: values(served.series(), "datastall_batches_total"))
        (tmp_path / "enough").touch()
        # Being brought home takes nothing from what was said.
        while training.poll() is None:
            now = values(served.series(), "datastall_batches_total")
            assert [int(a) >= int(b) for a, b in zip(now, last, strict=True)] == [True] * len(last)
            last = now
        training.communicate()
        until("it ended", lambda: values(served.series(), "datastall_run_running") == ["0"])
        compare_loaders(served.series(), shown(tmp_path))


def keep_alive(served: Serving) -> int:
    """How many requests one connection serves, of three."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    count = 0
    connection.connect()
    first = connection.sock
    for _ in range(3):
        connection.request("GET", "/metrics")
        connection.getresponse().read()
        count += connection.sock is first
    connection.close()
    return count


def test_connections_are_kept(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        assert keep_alive(served) == 3
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
        connection.request("HEAD", "/metrics")
        answer = connection.getresponse()
        assert answer.status == 200
        assert int(answer.headers["Content-Length"]) > 0
        assert answer.read() == b""
        connection.close()


def test_export_of_a_damaged_run(tmp_path: Path) -> None:
    write(tmp_path, "train.py", TRAINING)
    (tmp_path / "enough").touch()
    recorded(tmp_path, "train.py")
    folder = run_folders(tmp_path)[0]
    file = next(path for path in folder.glob("*.dsrun") if path.name != "launcher.dsrun")
    file.write_bytes(file.read_bytes()[:5000])
    ended = command([DATASTALL, "export", folder.name], tmp_path)
    assert ended.code == 3
    assert int(value(parse(ended.out), "datastall_run_problems")) > 0
    assert json.loads(datastall("show", "--json", folder=tmp_path).out)["damage"]["problems"] > 0
