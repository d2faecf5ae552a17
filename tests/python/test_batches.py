# SPDX-License-Identifier: Apache-2.0
"""What batches are made of: samples, tokens, packing efficiency."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import PYTHON, bring, command, only, recorded, shown, write

#: Every case of programs/batches.py but those that tests below look at.
EXACT = [
    *("tensor", "scalar tensors", "tuple", "list", "named tuple", "list of strings"),
    *("strings and labels", "dict of tensors", "nested dict", "ordered dict", "masks"),
    *(
        "masks and labels",
        "masks and labels in a list",
        "encoding",
        "attributes",
        "packed",
        "only ids",
        "bytes",
        "nothing",
    ),
    *("arrays", "a kind of array", "scalar arrays", "masks in arrays", "no rows"),
    *("a kind of tensor", "dispatched", "dataclass", "slots", "shaped", "default dict"),
    *("parts of graphs", "nodes and edges", "dict of graphs"),
    *("popping", "graphs", "behind", "lazily copied", "unaligned"),
    *("shortened", "emptied", "not shortened", "moved past the end", "minus zero"),
    *("large values", "complex", "sparse"),
    *("bounds of floats", "falling bounds", "short bounds"),
    *("masks of torch.bool", "masks of torch.uint8", "masks of torch.int16"),
    *("masks of torch.int32", "masks of torch.float32", "masks of torch.float64"),
]


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """(truth by case, loader by case) of one run over all cases."""
    folder = tmp_path_factory.mktemp("batches")
    bring(folder, "batches.py")
    ended = recorded(folder, "batches.py")
    truth = {}
    for line in ended.out.splitlines():
        truth.update(json.loads(line))
    return truth, {loader["name"]: loader for loader in shown(folder)["loaders"]}


@pytest.mark.parametrize("name", EXACT)
def test_exactly(batches: tuple[dict[str, Any], dict[str, Any]], name: str) -> None:
    truth, loaders = batches
    expected, loader = truth[name], loaders[name]
    assert loader["samples"] == expected["samples"]
    assert loader["tokens"] == expected["tokens"]
    assert loader["longest_sequence"] == expected["longest"]
    assert loader["packing_efficiency"] == pytest.approx(expected["efficiency"])
    assert loader["tokens_method"] == (None if expected["tokens"] is None else "counted")


@pytest.mark.parametrize(
    ("name", "samples"), [("detection", 6), ("uncollated", 12), ("uncollated masks", 12)]
)
def test_samples_without_a_common_tensor(
    batches: tuple[dict[str, Any], dict[str, Any]], name: str, samples: int
) -> None:
    assert batches[1][name]["samples"] == samples


def test_a_large_mask_is_sampled(batches: tuple[dict[str, Any], dict[str, Any]]) -> None:
    expected, loader = batches[0]["large masks"], batches[1]["large masks"]
    assert loader["samples"] == expected["samples"]
    assert loader["tokens_method"] == "sampled"
    assert loader["tokens"] == pytest.approx(expected["tokens"], rel=0.04)
    assert loader["packing_efficiency"] == pytest.approx(expected["efficiency"], rel=0.04)


def test_memory_in_another_order_is_left_alone(
    batches: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    loader = batches[1]["turned masks"]
    assert loader["samples"] == 12
    assert loader["tokens"] is loader["tokens_method"] is loader["packing_efficiency"] is None


def test_measure(tmp_path: Path) -> None:
    """measure= overrides what the shapes say, in each form it may answer in."""
    write(
        tmp_path,
        "prog.py",
        """
        import datastall, torch
        from torch.utils.data import DataLoader

        def by_number(batch):
            return 7
        def by_mapping(batch):
            return {"samples": 2, "tokens": 30, "padded_tokens": 40, "longest_sequence": 17}
        def by_longest(batch):
            return {"samples": 3, "tokens": 12, "longest_sequence": 5}
        def nothing(batch):
            return None
        def wrong(batch):
            return "many"
        def negative(batch):
            return {"samples": 4, "tokens": -1}
        def raising(batch):
            raise RuntimeError("not the program's problem")

        functions = (by_number, by_mapping, by_longest, nothing, wrong, negative, raising)
        for hooked in (True, False):
            for function in functions:
                data = [torch.zeros(4)] * 5
                loader = DataLoader(data, batch_size=None) if hooked else data
                name = f"{function.__name__} {hooked}"
                batches = list(datastall.watch(loader, name=name, measure=function))
                assert len(batches) == 5 and batches[0] is data[0]
        print("done")
        """,
    )
    assert recorded(tmp_path, "prog.py").out == "done\n"
    loaders = {loader["name"]: loader for loader in shown(tmp_path)["loaders"]}
    assert len(loaders) == 14
    for hooked in (True, False):

        def figures(name: str, hooked: bool = hooked) -> tuple[Any, ...]:
            loader = loaders[f"{name} {hooked}"]
            assert loader["batches"] == 5
            assert loader["source"] == ("torch" if hooked else "watch")
            keys = ("samples", "tokens", "packing_efficiency", "longest_sequence")
            return tuple(loader[key] for key in keys)

        assert figures("by_number") == (35, None, None, None)
        assert figures("by_mapping") == (10, 150, pytest.approx(0.75), 17)
        assert figures("by_longest") == (15, 60, pytest.approx(0.8), 5)
        assert figures("nothing") == (None, None, None, None)
        for name in ("wrong", "raising"):
            assert figures(name) == (None, None, None, None)
        assert figures("negative")[1] is None


def test_measure_may_iterate_loaders_itself(tmp_path: Path) -> None:
    """What measure() waits for is not the program's waiting."""
    write(
        tmp_path,
        "prog.py",
        """
        import datastall
        from torch.utils.data import DataLoader

        other = DataLoader(list(range(10)), batch_size=5)
        loader = DataLoader(list(range(12)), batch_size=4)
        watched = datastall.watch(loader, measure=lambda batch: sum(len(b) for b in other))
        print(sum(len(batch) for batch in watched))
        """,
    )
    assert recorded(tmp_path, "prog.py").out == "12\n"
    loader = only(shown(tmp_path)["loaders"])
    assert (loader["batches"], loader["samples"]) == (3, 30)


def test_without_hooks(tmp_path: Path) -> None:
    """watch() alone: torch and NumPy are imported after it was made, and nothing is hooked."""
    write(
        tmp_path,
        "prog.py",
        """
        import datastall

        def batches():
            yield None
            import numpy, torch
            yield torch.zeros(4, 2)
            yield numpy.zeros((3, 2))
            yield {"attention_mask": torch.ones(2, 5)}

        for batch in datastall.watch(batches()):
            pass
        """,
    )
    recorded(tmp_path, "prog.py")
    loader = only(shown(tmp_path)["loaders"])
    assert (loader["batches"], loader["samples"], loader["tokens"]) == (4, 9, 10)


def test_masks_that_are_cut_are_left_alone(tmp_path: Path) -> None:
    """Of the size of those that are not: a collate_fn pads, and cuts what is longer."""
    write(
        tmp_path,
        "prog.py",
        """
        import datastall, torch

        def batches():
            for number in range(120):
                longer = torch.zeros(4, 12)
                longer[:, :6] = 1
                yield {"attention_mask": torch.ones(4, 6) if number % 3 else longer[:, :6]}
            for number in range(60):  # in another order now and then, from some moment on
                square = torch.ones(6, 6).tril()
                yield {"attention_mask": square.t() if number % 2 else square}

        for batch in datastall.watch(batches()):
            pass
        """,
    )
    recorded(tmp_path, "prog.py")
    loader = only(shown(tmp_path)["loaders"])
    assert loader["samples"] == 120 * 4 + 60 * 6
    assert loader["tokens"] == 80 * 24 + 30 * 21
    assert loader["tokens_method"] == "counted"


def test_modes_do_not_see_the_looks(tmp_path: Path) -> None:
    """What is told under a mode of the program is the same; none of the questions reaches it."""
    write(
        tmp_path,
        "prog.py",
        """
        import datastall, torch
        from torch.overrides import TorchFunctionMode
        from torch.utils.data import DataLoader

        class Seeing(TorchFunctionMode):
            seen = 0
            def __torch_function__(self, function, types, arguments=(), keywords=None):
                Seeing.seen += 1
                return function(*arguments, **(keywords or {}))

        masks = [{"attention_mask": torch.ones(4, 6)}] * 3
        for mode in (Seeing(), torch.device("cpu")):
            loader = DataLoader(masks, batch_size=None, collate_fn=lambda batch: batch)
            watched = iter(datastall.watch(loader, name=type(mode).__name__))
            with mode:
                for batch in watched:
                    before = torch._C._is_torch_function_mode_enabled()
                    assert before
        print(Seeing.seen)
        """,
    )
    plain = command([PYTHON, "prog.py"], tmp_path, {"DATASTALL_RUN_DIR": "off"})
    assert recorded(tmp_path, "prog.py").out == plain.out
    for loader in shown(tmp_path)["loaders"]:
        assert (loader["samples"], loader["tokens"]) == (12, 72), loader["name"]


def test_a_trace_does_not_see_the_looks(tmp_path: Path) -> None:
    """A graph that is traced while batches come holds nothing of ours."""
    write(
        tmp_path,
        "prog.py",
        """
        import sys, torch
        from torch.utils.data import DataLoader

        loader = DataLoader([{"attention_mask": torch.ones(4, 6)}] * 3, batch_size=None)

        class Model(torch.nn.Module):
            def forward(self, x):
                for batch in loader:
                    x = x + batch["attention_mask"].sum()
                return x

        print(torch.jit.trace(Model(), torch.zeros(1)).graph)
        """,
    )
    plain = command([PYTHON, "prog.py"], tmp_path)
    assert recorded(tmp_path, "prog.py").out == plain.out
