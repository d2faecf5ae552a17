# SPDX-License-Identifier: Apache-2.0
"""Jobs of ranks that wait for each other, with gloo; where it does not matter who started them,
under ranks.py, which takes less time for it than torchrun."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from browser import CHROMIUM, Browser
from live import Series, serving, values
from support import DATASTALL, PYTHON, datastall, finish, on_a_busy_machine, recorded, shown, start
from support import PROGRAMS as OWN_PROGRAMS

PROGRAMS = Path(__file__).parents[2] / "bench" / "job" / "programs.py"
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node")
RANKS = (str(OWN_PROGRAMS / "ranks.py"),)


def job_of(
    folder: Path,
    name: str,
    *options: str,
    extra: dict[str, str] | None = None,
    launcher: tuple[str, ...] = RANKS,
) -> dict[str, Any]:
    recorded(folder, *launcher, "2", str(PROGRAMS), name, *options, extra=extra)
    return shown(folder)


def named(job: dict[str, Any], reason: str) -> list[int]:
    """Ranks that cost the job a tenth of its time or more."""
    return [
        cause["rank"]
        for cause in job["causes"]
        if cause["reason"] == reason and cause["lost_s"] > 0.1 * job["active_s"]
    ]


@on_a_busy_machine
def test_a_rank_that_makes_the_others_wait(tmp_path: Path) -> None:
    """By the loader of rank 1, and by what rank 0 does between its steps."""
    run = job_of(tmp_path, "mixed", "--steps", "60", "--step-ms", "5", launcher=TORCHRUN)
    job = run["job"]
    assert (job["ranks"], job["world_size"], job["nodes"]) == (2, 2, 1)
    assert job["id"].startswith("torchrun-")
    assert job["steps"] == job["steps_seen"] == 60
    assert named(job, "input") == [1], job
    assert named(job, "not_input") == [0], job
    # 60 batches that take 60 ms each, half a second three times: at least so much.
    assert job["lost_s"]["lower"] + job["not_input_s"] > 0.8 * (60 * 0.050 + 2 * 0.5), job
    # The one rank hardly waits while it is late itself: alone, neither says it.
    assert job["lost_s"]["mean"] > 1.2 * job["mean_stall_s"]
    assert "rank 1 made the others wait" in run["verdict"]["text"]
    assert run["verdict"]["severity"] in ("severe", "moderate")


def split(folder: Path, runs: Path, name: str = "node") -> None:
    """Each rank's file of a run into a run of its own, as two machines would have them."""
    (source,) = folder.glob("datastall-runs/*")
    ranks = [one for one in source.glob("*.dsrun") if one.name != "launcher.dsrun"]
    recording = [one for one in ranks if b"programs.py" in one.read_bytes() and one.stat().st_size]
    for index, one in enumerate(sorted(recording)):
        place = runs / f"2026112{index}-000000-{name}"
        place.mkdir(parents=True)
        (place / one.name).write_bytes(one.read_bytes())


@on_a_busy_machine
def test_runs_of_several_machines_are_merged(tmp_path: Path) -> None:
    extra = {"DATASTALL_JOB": "slurm-7/torchrun-a"}
    one = job_of(tmp_path, "one_rank", "--steps", "40", "--step-ms", "5", extra=extra)["job"]
    runs = tmp_path / "machines"
    split(tmp_path, runs)
    said = datastall("merge", f"{runs}/", "-o", "job", folder=tmp_path)
    assert said.code == 0, said.err
    assert said.out == "job: 2 runs; next: datastall show ./job\n"
    merged = json.loads(datastall("show", "--json", "./job", folder=tmp_path).out)
    assert merged["job"] == one
    assert [run["processes"] for run in merged["runs"]] == [1, 1]
    card = datastall("show", "./job", folder=tmp_path).out
    assert "rank 1 made the others wait" in card
    assert max(map(len, card.splitlines())) <= 80
    # The same from the folder that all machines wrote into, and by the job's name.
    for name in ("slurm-7/torchrun-a", "slurm-7"):
        beside = datastall("show", "--json", "--job", name, "-d", str(runs), folder=tmp_path)
        assert json.loads(beside.out)["job"] == one
    part = datastall("show", "--job", "slurm-", "-d", str(runs), folder=tmp_path)
    assert part.code == 1  # a part of a name is no name
    files = list(tmp_path.glob("job/*/*.dsrun"))
    assert sum(f.stat().st_blocks * 512 for f in files) < sum(f.stat().st_size for f in files) / 4


def test_what_cannot_be_merged(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(
        "from torch.utils.data import DataLoader\nfor _ in DataLoader(range(20)): pass\n"
    )
    recorded(tmp_path, "one.py", options=["--name", "alone"])
    assert datastall("merge", "alone", folder=tmp_path).code == 2
    ended = datastall("merge", "alone", "nobody", "-o", "job", folder=tmp_path)
    assert ended.code == 1
    assert "no run 'nobody'" in ended.err
    assert "job holds the 1 runs that came before" in ended.err
    again = datastall("merge", "alone", "-o", "job", folder=tmp_path)
    assert again.code == 1
    assert "cannot make the folder job" in again.err
    shown_job = datastall("show", "./job", folder=tmp_path)
    assert shown_job.code == 1
    assert "no two ranks recorded anything" in shown_job.err
    assert datastall("show", "--job", "slurm-1", folder=tmp_path).code == 1
    assert datastall("show", "./job", "--check", "stall<5", folder=tmp_path).code == 2


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that two machines wrote into: of the jobs "a" (rank 1 is late by its input),
    "b" (and rank 0 otherwise), and "short"."""
    folder = tmp_path_factory.mktemp("jobs")
    for name, program, steps in (
        ("a", "one_rank", 160),
        ("b", "mixed", 160),
        ("short", "mixed", 24),
    ):
        (folder / name).mkdir()
        extra = {"DATASTALL_JOB": name}
        job_of(folder / name, program, "--steps", str(steps), "--step-ms", "5", extra=extra)
        split(folder / name, folder / "runs", name)
    return folder


def test_compare_takes_jobs(jobs: Path) -> None:
    named = ("--job", "a", "--job", "b", "-d", "runs")
    said = datastall("compare", *named, "--json", folder=jobs)
    assert said.code == 0, said.err
    both = json.loads(said.out)
    alone = [
        json.loads(datastall("show", "--json", "--job", name, "-d", "runs", folder=jobs).out)["job"]
        for name in ("a", "b")
    ]
    assert both["result"] != "not_comparable"  # at least 60 ms a step: more than nine seconds
    assert both["lost_share"] == [job["lost_share"]["mean"] for job in alone]
    assert both["not_input_s"] == [job["not_input_s"] for job in alone]
    assert [job["runs"] for job in both["jobs"]] == [2, 2]
    ranks = {rank["rank"]: rank for rank in both["ranks"]}
    assert set(ranks) == {0, 1}
    costs = [{(c["rank"], c["reason"]): c["lost_s"] for c in job["causes"]} for job in alone]
    assert ranks[1]["input_s"] == [pytest.approx(cost[1, "input"]) for cost in costs]
    assert ranks[0]["not_input_s"][1] == pytest.approx(costs[1][0, "not_input"])
    card = datastall("compare", *named, folder=jobs).out
    assert re.search(r"what each cost: .*rank 0: ", " ".join(card.split()))
    assert max(map(len, card.splitlines())) <= 80
    fails = datastall("compare", *named, "--fail-if", "stall<+90", folder=jobs)
    assert fails.code == 1
    assert "the stall share changed by" in fails.err
    # A merged folder, and a run, which is a job of its own.
    assert (
        datastall(
            "merge", *sorted(map(str, (jobs / "runs").glob("*-a"))), "-o", "ja", folder=jobs
        ).code
        == 0
    )
    (run,) = (jobs / "b" / "datastall-runs").glob("*")
    mixed = json.loads(datastall("compare", "--json", "./ja", str(run), folder=jobs).out)
    assert mixed["lost_share"][0] == both["lost_share"][0]
    assert [job["runs"] for job in mixed["jobs"]] == [2, 1]


def test_jobs_that_cannot_be_compared(jobs: Path) -> None:
    short = datastall("compare", "--job", "a", "--job", "short", "-d", "runs", folder=jobs)
    assert short.code == 4
    assert "not comparable: the second job is too short" in " ".join(short.out.split())
    nobody = datastall("compare", "--job", "a", "--job", "nobody", "-d", "runs", folder=jobs)
    assert nobody.code == 4
    assert "no two ranks of job nobody" in nobody.err
    assert datastall("compare", "--job", "a", "-d", "runs", folder=jobs).code == 2
    assert datastall("compare", "--job", "a", "x", "-d", "runs", folder=jobs).code == 2
    several = datastall("compare", "./runs", "./runs", folder=jobs)
    assert several.code == 1
    assert "holds runs of several jobs" in several.err


@on_a_busy_machine
def test_report_of_a_job(jobs: Path) -> None:
    said = datastall("report", "--job", "b", "-d", "runs", "-o", "b.html", folder=jobs)
    assert said.code == 0, said.err
    page = (jobs / "b.html").read_text()
    assert len(page) < 1_000_000
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    (job,) = json.loads(found[1])["jobs"]
    one = json.loads(datastall("show", "--json", "--job", "b", "-d", "runs", folder=jobs).out)
    assert job["summary"]["job"]["text"] == one["job"]["text"]  # numbers are rounded in a page
    seen = [span for span in job["spans"] if span["steps"] > 0]
    assert sum(span["steps"] for span in seen) == one["job"]["steps_seen"]
    lost_s = sum(span["not_input_s"] for span in seen)
    assert lost_s == pytest.approx(one["job"]["not_input_s"], rel=1e-3)
    # Rank 0 is the one that most of a span is of in those in which it came half a second late.
    late = [span for span in seen if span["not_input_s"] > 0.2]
    assert late
    assert {span["most"] for span in late} == {0}
    ranks = {rank["rank"]: rank for rank in job["ranks"]}
    assert ranks[1]["input_s"] > 3 * ranks[0]["input_s"]  # 10 and more on an idle machine
    assert "rank 1 made the others wait" in page[page.index("<noscript>") :]
    two = datastall("report", "--job", "a", "--job", "b", "-d", "runs", "-o", "-", folder=jobs)
    assert two.code == 0
    assert '"kind":"job"' in two.out.replace(" ", "")


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@on_a_busy_machine
def test_a_browser_shows_it(jobs: Path, tmp_path: Path) -> None:
    named = ("--job", "a", "--job", "b", "-d", "runs")
    said = datastall("report", *named, "-o", "two.html", "--force", folder=jobs)
    assert said.code == 0, said.err
    browser = Browser(tmp_path)
    try:
        address = (jobs / "two.html").as_uri()
        browser.open(address, width=1400)
        text = browser.value("document.body.innerText")
        assert browser.complaints == []
        assert browser.asked == [address]
        assert "rank 0 came late for another reason than input" in text
        assert "The second compared with the first" in text
        assert (
            browser.value("document.querySelectorAll('[data-chart=job-lost] canvas').length") == 2
        )
        assert all(name for role, name in browser.names() if role in ("figure", "image", "region"))
    finally:
        browser.close()


@on_a_busy_machine
def test_serve_says_what_a_rank_costs(tmp_path: Path) -> None:
    """As `show` does, of the steps that were seen meanwhile."""
    (tmp_path / "datastall-runs").mkdir()
    ranks = (PYTHON, *RANKS, "2")
    program = (str(PROGRAMS), "mixed", "--steps", "60", "--step-ms", "5")
    extra = {"DATASTALL_JOB": "slurm-7", "NODE_NAME": "gpu-1", "POD_NAME": "train-0"}
    before: dict[tuple[str, str], float] = {}
    with serving(tmp_path) as server:
        process = start((DATASTALL, "run", *ranks, *program), tmp_path, extra)
        while process.poll() is None:
            time.sleep(0.3)
            now = lost(server.series())
            assert all(now[key] >= value for key, value in before.items())
            before = now
        assert finish(process).code == 0
        series = server.series()
    job = shown(tmp_path)["job"]
    said = {(str(c["rank"]), c["reason"]): c["lost_s"] for c in job["causes"]}
    now = lost(series)
    for key in [("1", "input"), ("0", "not_input")]:
        assert 0.5 * said[key] < now[key] <= said[key] + 0.01, (now, said)
    assert now["1", "input"] > 3 * now["0", "input"]
    labels = {"job_id": "slurm-7", "node": "gpu-1", "pod": "train-0"}
    steps = values(series, "datastall_job_steps_total", **labels)
    assert len(steps) == 2
    assert steps[0] == steps[1]
    assert 40 <= int(steps[0]) < 60
    upper = values(series, "datastall_job_lost_upper_seconds_total", rank="1", reason="input")
    assert [float(value) for value in upper] == [now["1", "input"]]  # no GPU, no doubt


def lost(series: Series) -> dict[tuple[str, str], float]:
    """Seconds by rank and reason."""
    found = {}
    for (name, labels), value in series.items():
        if name == "datastall_job_lost_seconds_total":
            found[dict(labels)["rank"], dict(labels)["reason"]] = float(value)
    return found


def test_a_run_that_goes_on_is_not_merged(tmp_path: Path) -> None:
    """Nor is one of which a process was killed any less whole."""
    (tmp_path / "one.py").write_text(
        "import sys\n"
        "from torch.utils.data import DataLoader\n"
        "for _ in DataLoader(range(20)): pass\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = (DATASTALL, "run", "--name", "goes-on", PYTHON, "one.py")
    process = start(command, tmp_path, stdin=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    said = datastall("merge", "goes-on", "-o", "job", folder=tmp_path)
    assert said.code == 1
    assert "is still running" in said.err
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    (tmp_path / "job").rmdir()
    said = datastall("merge", "goes-on", "-o", "job", folder=tmp_path)
    assert said.code == 0, said.err
    (merged,) = (tmp_path / "job").glob("*")
    assert json.loads(datastall("show", "--json", str(merged), folder=tmp_path).out)["loaders"]


def test_ranks_that_do_not_wait_for_each_other(tmp_path: Path) -> None:
    run = job_of(tmp_path, "not_together", "--steps", "60", "--step-ms", "5")
    assert run["job"]["lost_s"]["mean"] is None
    assert "not in step" in run["job"]["says"]
    assert run["job"]["causes"] == []
    card = datastall("show", folder=tmp_path).out
    assert "what the job lost is not known" in card
    assert json.dumps(run["job"])


# ---- jobs that are not as even as those ----

HEAD = """
import os, sys, time
from pathlib import Path
import torch
import torch.distributed as dist
from torch.utils.data import DataLoader

rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
# A store of each start: through torchrun's own, gloo now and then never connects after a restart.
store = Path.cwd() / ("store-" + os.environ["TORCHELASTIC_RESTART_COUNT"])
dist.init_process_group("gloo", init_method=store.as_uri(), rank=rank, world_size=world)

class Items(torch.utils.data.Dataset):
    def __init__(self, count, delay_s=0.0):
        self.count, self.delay_s = count, delay_s
    def __len__(self):
        return self.count
    def __getitem__(self, index):
        time.sleep(self.delay_s)
        return torch.zeros(8)

def step():
    time.sleep(0.01)
    dist.all_reduce(torch.zeros(8))
"""


#: Without it gloo's threads now and then end a process that is over.
TAIL = """
dist.barrier()
dist.destroy_process_group()
"""


def ran(
    folder: Path,
    program: str,
    *options: str,
    ranks: int = 2,
    launcher: tuple[str, ...] = RANKS,
) -> dict[str, Any]:
    (folder / "prog.py").write_text(HEAD + program + TAIL)
    recorded(folder, *launcher, str(ranks), *options, "prog.py")
    return shown(folder)


def blames(job: dict[str, Any], rank: int) -> bool:
    """Whether that rank's input cost something, or it is said why there is no number: on a busy
    machine ranks may seem to wait for each other seldom, or never, and others are late as well."""
    if job["lost_s"]["mean"] is None:
        return bool(job["says"]) and job["causes"] == []
    return any(
        cause["rank"] == rank and cause["reason"] == "input" and cause["lost_s"] > 0
        for cause in job["causes"]
    )


def test_ranks_that_are_started_anew(tmp_path: Path) -> None:
    """One dies in the middle, torchrun starts all of them again: both starts are added up."""
    job = ran(
        tmp_path,
        """
first = not Path("died").exists()
for i, _ in enumerate(DataLoader(Items(60, 0.03 if rank == 1 else 0.0))):
    step()
    if first and rank == 0 and i == 29:
        Path("died").touch()
        os._exit(1)
""",
        "--max-restarts=1",
        launcher=TORCHRUN,
    )["job"]
    assert job["restarts"] == 1
    assert (job["ranks"], job["world_size"]) == (2, 2)
    assert blames(job, 1), job
    # 30 steps and 60; the survivor of the first start is killed in a step that the other is not in.
    if job["batches_per_step"] == 1 and job["lost_s"]["mean"] is not None:
        assert job["steps"] in (89, 90, 91)


def test_inputs_that_are_uneven(tmp_path: Path) -> None:
    """One rank has a tenth more batches at the end, which it goes through alone."""
    job = ran(
        tmp_path,
        """
for i, _ in enumerate(DataLoader(Items(66 if rank == 1 else 60, 0.03 if rank == 1 else 0.0))):
    if i < 60:
        step()
""",
    )["job"]
    assert blames(job, 1), job
    if job["batches_per_step"] == 1:
        assert job["steps"] == 60
        assert "uneven inputs: the ranks loaded 60 to 66 batches" in job["note"]


def test_epochs_that_differ_in_length(tmp_path: Path) -> None:
    """Then it is not known which batches belong together: no number, and why."""
    job = ran(
        tmp_path,
        """
from torch.distributed.algorithms.join import Join
from torch.nn.parallel import DistributedDataParallel
model = DistributedDataParallel(torch.nn.Linear(8, 1))
for epoch in range(4):
    with Join([model]):
        for batch in DataLoader(Items(12 + 3 * rank, 0.02)):
            model(batch).sum().backward()
""",
    )["job"]
    assert job["lost_s"] == {"mean": None, "lower": None, "upper": None}
    assert "the ranks' epochs differ in length (uneven inputs)" in job["says"]
    assert job["causes"] == []


def test_ranks_without_a_loader(tmp_path: Path) -> None:
    """The last stage of a pipeline is fed by the others."""
    job = ran(
        tmp_path,
        """
if rank < 2:
    for _ in DataLoader(Items(60, 0.03 if rank == 1 else 0.0)):
        step()
else:
    for _ in range(60):
        step()
""",
        ranks=3,
    )["job"]
    assert (job["ranks"], job["world_size"]) == (2, 3)
    assert "2 of 3 ranks loaded data here" in job["note"]
    assert blames(job, 1), job


def test_only_one_rank_loads(tmp_path: Path) -> None:
    """And sends to the others: nobody can be put beside it."""
    run = ran(
        tmp_path,
        """
for _ in DataLoader(Items(30)) if rank == 0 else range(30):
    step()
""",
    )
    assert run["job"] is None


def test_one_process_is_no_job(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(
        "from torch.utils.data import DataLoader\nfor _ in DataLoader(range(20)): pass\n"
    )
    recorded(tmp_path, "one.py")
    assert shown(tmp_path)["job"] is None
