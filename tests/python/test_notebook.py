# SPDX-License-Identifier: Apache-2.0
"""What a notebook sees: show(), a typed summary(), reset(), and time between loops."""

from __future__ import annotations

import json
import types
import typing
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import datastall
from support import PYTHON, Ended, command, only, recorded, run_folders, shown, shown_text, write


def run_plainly(folder: Path, source: str) -> Ended:
    write(folder, "prog.py", source)
    ended = command([PYTHON, "prog.py"], folder)
    assert ended.code == 0, ended.err
    return ended


LOADER = """
import json, time, datastall
from torch.utils.data import DataLoader
datastall.install()
class Slow:
    def __len__(self): return 8
    def __getitem__(self, index):
        time.sleep(0.01)
        return index
def loop():
    for batch in DataLoader(Slow(), batch_size=2): pass
"""


class Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_show_as_text_and_as_html(tmp_path: Path) -> None:
    name = "<script>alert(1)</script>"
    ended = run_plainly(
        tmp_path,
        f"""{LOADER}
before = datastall.show()
for item in datastall.watch([1, 2], name={name!r}): pass
loop()
shown = datastall.show()
loop()
print(json.dumps([repr(before), before._repr_html_(), repr(shown), shown._repr_html_()]))
""",
    )
    before, before_html, text, html = ended.printed()
    assert "nothing was recorded yet" in before and "nothing was recorded yet" in before_html
    assert "VERDICT" in text.splitlines()[-1] and all(len(line) <= 80 for line in text.split("\n"))
    elements = Elements(html)
    assert set(elements.tags) == {"div", "table", "tr", "th", "td"}
    assert name in elements.text and "LOADER" in elements.text and "severe" in elements.text
    # It stays as it was when it was called.
    assert shown_text(tmp_path) != text


def test_reset_begins_a_run_of_its_own(tmp_path: Path) -> None:
    ended = run_plainly(
        tmp_path,
        f"""{LOADER}
datastall.reset()  # nothing was recorded: nothing to end
loop()
first = datastall.summary()
datastall.reset("second")
assert datastall.summary() == {{}}
loader = DataLoader(Slow(), batch_size=2, num_workers=1, persistent_workers=True)
seen = [batch.tolist() for batch in loader]
second = datastall.summary()
datastall.reset()
for batch in loader:  # whose workers were there before
    seen.append(batch.tolist())
assert seen == 2 * [[0, 1], [2, 3], [4, 5], [6, 7]], seen
third = datastall.summary()
print(json.dumps([
    [run["run"]["path"], sum(loader["batches"] for loader in run["loaders"])]
    for run in (first, second, third)
]))
""",
    )
    runs = ended.printed()
    assert [batches for _, batches in runs] == [4, 4, 4]
    paths = [Path(path).name for path, _ in runs]
    assert len(set(paths)) == 3 and "second" in paths[1]
    assert len(run_folders(tmp_path)) == 3
    for path in paths:
        summary = shown(tmp_path, path)
        assert summary["run"]["state"] == "ended" and summary["damage"]["problems"] == 0
        assert only(summary["loaders"])["batches"] == 4


def test_reset_in_the_middle_of_a_loop_keeps_what_was_before(tmp_path: Path) -> None:
    run_plainly(
        tmp_path,
        f"""{LOADER}
for i, batch in enumerate(DataLoader(Slow(), batch_size=2)):
    if i == 1: datastall.reset()
loop()
""",
    )
    first, second = (shown(tmp_path, folder.name) for folder in run_folders(tmp_path))
    assert only(first["loaders"])["batches"] == 2
    assert only(second["loaders"])["batches"] == 4


def test_reset_under_run_is_said_and_does_nothing(tmp_path: Path) -> None:
    ended = recorded(
        tmp_path, "-c", f"{LOADER}\nloop()\ndatastall.reset()\ndatastall.reset()\nloop()\n"
    )
    assert sum("reset() does nothing" in line for line in ended.said) == 1
    assert sum(loader["batches"] for loader in shown(tmp_path)["loaders"]) == 8


def test_time_between_loops_is_said_and_not_divided_by(tmp_path: Path) -> None:
    ended = run_plainly(
        tmp_path,
        f"""{LOADER}
loop()
time.sleep(1.5)
loop()
shown = datastall.show()
print(json.dumps([shown._repr_html_(), datastall.summary()["verdict"]["worst_share"]]))
""",
    )
    html, share = ended.printed()
    process = only(shown(tmp_path)["processes"])
    assert 1.5 <= process["paused_s"] <= process["window_s"]
    # It did nothing but load, but for the pause, and what a busy machine did meanwhile.
    active_s = process["window_s"] - process["paused_s"]
    assert abs(share - process["input_stall_s"] / active_s) < 0.02
    assert share > 1.2 * process["input_stall_s"] / process["window_s"]
    assert "no loader was iterated over" in html
    assert "between them none was" in " ".join(shown_text(tmp_path).split())


# ---- the types of summary() ----


def check(value: Any, wanted: Any, where: str) -> None:
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (types.UnionType, typing.Union):
        if value is None:
            assert type(None) in arguments, f"{where} is None"
            return
        (wanted,) = (one for one in arguments if one is not type(None))
        check(value, wanted, where)
    elif origin is list:
        assert type(value) is list, where
        for one in value:
            check(one, arguments[0], f"{where}[]")
    elif origin is dict:
        for one in value.values():
            check(one, arguments[1], f"{where}{{}}")
    elif typing.is_typeddict(wanted):
        hints = typing.get_type_hints(wanted)
        assert isinstance(value, dict), f"{where} is {value!r}"
        assert set(value) <= set(hints), f"{where}: {set(value) - set(hints)} is not declared"
        assert wanted.__required_keys__ <= set(value), f"{where}: {wanted.__required_keys__}"
        for key, one in value.items():
            check(one, hints[key], f"{where}.{key}")
    else:
        assert type(value) is wanted, f"{where} is {value!r}, not {wanted}"


def test_summary_is_what_its_types_say(tmp_path: Path, fake_nvml: Any) -> None:
    recorded(
        tmp_path,
        "-c",
        f"""{LOADER}
loader = DataLoader(Slow(), batch_size=2, num_workers=2)
with datastall.stage("train"):
    for batch in loader: pass
for batch in datastall.watch([1, 2, 3]): pass
""",
        extra=fake_nvml("devices 2"),
    )
    summary = shown(tmp_path)
    check(summary, datastall.Summary, "summary")
    assert summary["loaders"][0]["workers"] and summary["stages"] and summary["gpus"]
    check(json.loads(json.dumps(summary)), datastall.Summary, "summary")
