# SPDX-License-Identifier: Apache-2.0
"""`datastall serve` and Prometheus, for the tests: started, asked, stopped."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support import DATASTALL, Ended, environment, finish

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / ".venv" / "prometheus" / "usr" / "bin" / "prometheus"
PROMTOOL = PROMETHEUS.with_name("promtool")
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"

Series = dict[tuple[str, frozenset[tuple[str, str]]], str]


def until(what: str, holds: Callable[[], Any], seconds: float = 120) -> Any:
    """Waits until holds() is true and returns it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = holds()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {seconds} s")


@dataclass
class Serving:
    process: subprocess.Popen[str]
    url: str
    said: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def get(self, path: str = "/metrics", accept: str | None = None) -> tuple[int, str, str]:
        """Status, content type and text."""
        request = urllib.request.Request(self.url + path)
        if accept is not None:
            request.add_header("Accept", accept)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.headers["Content-Type"], answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers["Content-Type"], error.read().decode()

    def series(self) -> Series:
        return parse(self.get()[2])

    def memory_kib(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        match = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert match is not None
        return int(match[1])


@contextmanager
def serving(
    folder: Path, *arguments: str, extra: Mapping[str, str] | None = None, own: bool = True
) -> Iterator[Serving]:
    """Serves FOLDER/datastall-runs (own) at any free port; it must end well at SIGTERM."""
    where = ("--dir", "datastall-runs") if own else ()
    process = subprocess.Popen(
        [DATASTALL, "serve", "--listen", "127.0.0.1:0", *where, *arguments],
        cwd=folder,
        env=environment(extra),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    said: list[str] = []
    try:
        while not said or "serving" not in said[-1]:
            line = process.stderr.readline()
            assert line, said
            said.append(line)
        found = re.search(r"(https?://\S+)/metrics", said[-1])
        assert found is not None
        yield Serving(process, found[1], said)
    except BaseException:
        process.kill()
        process.wait()
        raise
    process.send_signal(signal.SIGTERM)
    ended: Ended = finish(process)
    assert ended.code == 0, ended.err


def parse(text: str) -> Series:
    """Every sample of a text; a series that stands there twice fails."""
    found: Series = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        match = re.fullmatch(r"([a-z_]+)\{(.*)\} (\S+)", line)
        assert match is not None, line
        labels = re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', match[2])
        key = (match[1], frozenset(labels))
        assert key not in found, line
        found[key] = match[3]
    return found


def values(series: Series, metric: str, **labels: str) -> list[str]:
    wanted = set(labels.items())
    return [value for (n, have), value in series.items() if n == metric and wanted <= have]


def value(series: Series, metric: str, **labels: str) -> str:
    found = values(series, metric, **labels)
    assert len(found) == 1, (metric, labels, found)
    return found[0]


def ns(seconds: str | float) -> int:
    return round(float(seconds) * 1e9)


def promtool(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PROMTOOL), *arguments], input=text, capture_output=True, text=True, check=False
    )


@contextmanager
def prometheus(
    folder: Path, targets: list[str], interval: str = "1s", rules: Path | None = None
) -> Iterator[Callable[[str], list[dict[str, Any]]]]:
    """A Prometheus server that scrapes the targets; yields a function that asks it."""
    lines = [
        f"global: {{scrape_interval: {interval}, scrape_timeout: {interval}, "
        f"evaluation_interval: {interval}}}",
        "scrape_configs:",
        f"  - {{job_name: datastall, static_configs: [{{targets: {json.dumps(targets)}}}]}}",
    ]
    if rules is not None:
        lines.append(f"rule_files: [{json.dumps(str(rules))}]")
    (folder / "prometheus.yml").write_text("\n".join(lines) + "\n")
    log = (folder / "prometheus.log").open("w")
    process = None
    for port in range(20000 + os.getpid() % 20000, 65000, 977):
        process = subprocess.Popen(
            [
                str(PROMETHEUS),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=warn",
            ],
            cwd=folder,
            stdout=log,
            stderr=log,
        )

        def ready(port: int = port, started: Any = process) -> bool:
            """It answers, and not another test's server at this port; or it ended."""
            url = f"http://127.0.0.1:{port}/api/v1/status/runtimeinfo"
            try:
                with urllib.request.urlopen(url, timeout=20) as answer:
                    return bool(json.load(answer)["data"]["CWD"] == str(folder.resolve()))
            except (OSError, ValueError):
                return bool(started.poll() is not None)

        until("Prometheus is ready", ready)
        if process.poll() is None:
            break
    assert process is not None and process.poll() is None, (folder / "prometheus.log").read_text()

    def ask(query: str) -> list[dict[str, Any]]:
        url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": query})
        with urllib.request.urlopen(url, timeout=60) as answer:
            data = json.load(answer)
        assert data["status"] == "success", data
        return list(data["data"]["result"])

    try:
        yield ask
    finally:
        process.terminate()
        process.wait(120)
        log.close()
