# SPDX-License-Identifier: Apache-2.0
"""The bindings of CUDA for Python, which torch imports since 2.13: the GPU is asked nevertheless,
and no more once a program begins to capture a graph by them."""

from __future__ import annotations

import importlib.util
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from support import datastall, recorded, shown
from test_steps import ON_A_GPU, assert_whole

# What is loaded at the start is what these are about.
pytestmark = pytest.mark.whole_start

#: Whether the driver is called while the program calls nothing. A busy machine may take its time.
IS_ASKED = """
    before = "cuda.bindings.runtime" in sys.modules
    def is_asked(most_s):
        calls, end = cuda.fake_cuda_calls(), time.monotonic() + most_s
        while cuda.fake_cuda_calls() == calls and time.monotonic() < end:
            time.sleep(0.05)
        return cuda.fake_cuda_calls() > calls
"""
LOOP = """
    for number, x in enumerate(batches):
        work()
        if number == 3:
            asked = is_asked(MOST_S)
            BEGIN
            print(before, asked, is_asked(0.5))
        model(x).sum().backward()
        done()
        optimizer.step()
        if phase("optimizer")["count"] > 40:
            break
"""


@pytest.fixture(scope="module")
def bindings() -> dict[str, str]:
    """The variables with which torch finds them: scripts/bootstrap.sh unpacked them beside."""
    if importlib.util.find_spec("cuda") is not None:
        return {}
    folder = Path(sys.prefix) / "cuda-bindings"
    if not (folder / "cuda" / "bindings").is_dir():
        pytest.skip("no cuda.bindings here: scripts/bootstrap.sh test installs them")
    return {"PYTHONPATH": str(folder)}


def trained(
    tmp_path: Path, extra: dict[str, str], first: str, begin: str, most_s: float = 20.0
) -> tuple[str, Any]:
    """What the program printed, and its steps."""
    loop = LOOP.replace("BEGIN", begin).replace("MOST_S", str(most_s))
    program = f"import sys\n{first}\n" + textwrap.dedent(ON_A_GPU + IS_ASKED + loop)
    (tmp_path / "program.py").write_text(program)
    ended = recorded(tmp_path, "program.py", extra=extra, options=("--steps", "on"))
    return ended.out.splitlines()[-1], shown(tmp_path)["steps"]


def test_torch_loads_them(tmp_path: Path, fake_nvml: Any, bindings: dict[str, str]) -> None:
    extra = {**fake_nvml("devices 1", library="nvml-cuda"), **bindings}
    printed, steps = trained(tmp_path, extra, "", "asked = asked and is_asked(20)")
    assert printed.startswith("True True ")
    assert steps["method"] == "queue" and steps["says"] is None


@pytest.mark.parametrize("of", ["runtime.cudaStreamBeginCapture", "driver.cuStreamBeginCapture"])
def test_a_capture_by_them(
    tmp_path: Path, fake_nvml: Any, bindings: dict[str, str], of: str
) -> None:
    """There is no CUDA to do it: the call fails, as it does without datastall."""
    module, name = of.split(".")
    extra = {**fake_nvml("devices 1", library="nvml-cuda"), **bindings}
    first = f"from cuda.bindings import {module}"
    begin = f"told = attempt({module}.{name})"
    attempt = """
def attempt(function):
    try:
        return function(0, 0)
    except Exception as error:
        return type(error).__name__
"""
    printed, steps = trained(tmp_path, extra, first + attempt, begin)
    assert printed == "True True False"  # asked before, not since
    assert steps["method"] == "queue"


@pytest.mark.parametrize(
    "first",
    [
        "from cuda.bindings.driver import cuStreamBeginCapture",
        "import cuda.bindings._v2.driver",
        "import torch, cuda.bindings\nsys.modules['cuda.bindings.driver'] = object()",
    ],
    ids=["a function by itself", "functions of other names", "another thing of that name"],
)
def test_what_may_capture_unseen(
    tmp_path: Path, fake_nvml: Any, bindings: dict[str, str], first: str
) -> None:
    extra = {**fake_nvml("devices 1", library="nvml-cuda"), **bindings}
    printed, steps = trained(tmp_path, extra, first, "pass", 0.5)
    assert printed == "True False False"
    assert_whole(steps)
    assert "capture CUDA graphs" in steps["says"]


LOOKS_THE_SAME = """
    import inspect, pickle
    import torch
    from torch.utils.data import DataLoader
    for x in DataLoader(torch.ones(4, 1)):
        pass
    from cuda.bindings import driver
    function = driver.cuStreamBeginCapture
    print(function.__name__, function.__module__, bool(function.__doc__), callable(function))
    print(pickle.loads(pickle.dumps(function)) is function, inspect.isclass(type(function)))
    try:
        function(1, 2, 3, 4)
    except TypeError as error:
        print(error)
"""


def test_they_look_the_same(tmp_path: Path, bindings: dict[str, str]) -> None:
    (tmp_path / "program.py").write_text(textwrap.dedent(LOOKS_THE_SAME))
    options = ("run", "--steps", "on")
    printed = [
        datastall(*arguments, sys.executable, "program.py", folder=tmp_path, extra=bindings).out
        for arguments in (options, ("run", "--steps", "off"))
    ]
    assert printed[0] == printed[1] != ""
