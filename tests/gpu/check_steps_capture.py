# SPDX-License-Identifier: Apache-2.0
"""On a machine with an NVIDIA GPU: graphs are captured while datastall asks the GPU about phases.

Four parts, each in a process of its own:
plain, asked: one training, of which every other step is captured as a whole (forward, backward,
optimizer; capture mode "global", as torch's default is) and replayed. Without datastall, and with
the GPU asked some hundred times a second: no capture may fail, and the weights must be the same.
foreign: beside a library that may capture by itself (CuPy, Warp, cuda.bindings: which is installed)
nothing is asked, and the summary says so.
driver: why. What src/gpu/stall.c asks from a thread of its own, as fast as it goes, while the main
thread captures a stream: one that the default stream does not wait for, as torch's are, and one for
which it does, which is spoilt now and then. Only the first may not fail.

python tests/gpu/check_steps_capture.py [CAPTURES]
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from typing import Any

import torch
from checks import forget_run, need_gpus
from torch.utils.data import DataLoader, TensorDataset

CAPTURE_GLOBAL, CAPTURE_THREAD_LOCAL = 0, 1
SUCCESS, NOT_READY = 0, 600
LARGE_BYTES = 1 << 28


def train(captures: int) -> dict[str, Any]:
    torch.manual_seed(1)
    model = torch.nn.Sequential(*[torch.nn.Linear(512, 512) for _ in range(8)]).cuda()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, foreach=True)
    rows = DataLoader(TensorDataset(torch.randn(64 * captures * 2, 512)), batch_size=64)
    static = torch.zeros(64, 512, device="cuda")

    def step(batch: torch.Tensor) -> None:
        model(batch).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)

    side = torch.cuda.Stream()
    failed = 0
    for index, (batch,) in enumerate(rows):
        static.copy_(batch)
        if index % 2 == 0:
            step(static)
            continue
        if index == 1:  # as torch asks for: what is made once is made before a capture
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                step(static)
            torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=side):
                step(static)
            graph.replay()
        except RuntimeError as error:
            failed += 1
            print(f"capture at step {index}: {error}", file=sys.stderr)
    weights = b"".join(each.detach().cpu().numpy().tobytes() for each in model.parameters())
    return {"failed": failed, "weights": hashlib.sha256(weights).hexdigest()[:16]}


def asked(captures: int) -> dict[str, Any]:
    import datastall

    os.environ.pop("DATASTALL_STEPS", None)
    forget_run()
    with tempfile.TemporaryDirectory() as folder:
        datastall.install(folder)
        said = train(captures)
        steps = datastall.summary()["steps"]
    said["replays"] = steps["graph_replays"]
    said["says"] = steps["says"]
    said["told"] = sorted(p["name"] for p in steps["phases"] if p["starved_s"] is not None)
    return said


def foreign(captures: int) -> dict[str, Any]:
    for name in ("cupy", "warp", "cuda.bindings.driver"):
        with contextlib.suppress(ImportError):
            # Of cuda.bindings, which torch imports too, only who has this function counts.
            held = getattr(importlib.import_module(name), "cuStreamBeginCapture", None)
            return {"library": name, "held": repr(held), **asked(min(captures, 50))}
    return {"library": None}


class Driver:
    def __init__(self) -> None:
        self.cuda = ctypes.CDLL("libcuda.so.1")
        torch.cuda.init()
        torch.zeros(1, device="cuda")
        self.context = ctypes.c_void_p()
        self.cuda.cuCtxGetCurrent(ctypes.byref(self.context))
        self.memory = torch.zeros(LARGE_BYTES, dtype=torch.uint8, device="cuda")
        self.stop = False
        self.answers: dict[str, int] = {}

    def ask(self) -> None:
        """The calls of stall_peek(), in their order."""
        mode = ctypes.c_int(CAPTURE_THREAD_LOCAL)
        self.cuda.cuThreadExchangeStreamCaptureMode(ctypes.byref(mode))
        self.cuda.cuCtxSetCurrent(self.context)
        status = ctypes.c_int()
        while not self.stop:
            result = self.cuda.cuStreamIsCapturing(None, ctypes.byref(status))
            if result != SUCCESS or status.value != 0:
                kind = f"capturing ({result})"
            else:
                result = self.cuda.cuStreamQuery(None)
                kind = {SUCCESS: "empty", NOT_READY: "busy"}.get(result, f"error {result}")
            self.answers[kind] = self.answers.get(kind, 0) + 1

    def capture(self, stream: ctypes.c_void_p, fills: int) -> bool:
        graph = ctypes.c_void_p()
        at = ctypes.c_uint64(self.memory.data_ptr())
        if self.cuda.cuStreamBeginCapture_v2(stream, CAPTURE_GLOBAL) != SUCCESS:
            return False
        filled = [
            self.cuda.cuMemsetD8Async(at, index % 250, ctypes.c_size_t(4096), stream)
            for index in range(fills)
        ]
        ended = self.cuda.cuStreamEndCapture(stream, ctypes.byref(graph))
        if ended != SUCCESS or any(filled):
            return False
        return bool(self.cuda.cuGraphDestroy(graph) == SUCCESS)


def driver(captures: int) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for flags, name in ((0, "blocking"), (1, "non_blocking")):
        d = Driver()
        stream = ctypes.c_void_p()
        d.cuda.cuStreamCreate(ctypes.byref(stream), flags)
        alone = sum(not d.capture(stream, 20) for _ in range(captures))
        asker = threading.Thread(target=d.ask)
        asker.start()
        beside = sum(not d.capture(stream, 20) for _ in range(captures))
        d.stop = True
        asker.join()
        said[name] = {"failed_alone": alone, "failed": beside, "answers": d.answers}
    return said


PARTS = {"plain": train, "asked": asked, "foreign": foreign, "driver": driver}


def of(part: str, captures: int) -> dict[str, Any]:
    words = [sys.executable, __file__, str(captures), "--part", part]
    ended = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    said = json.loads(ended.stdout.splitlines()[-1])
    print(part, json.dumps(said), flush=True)
    return dict(said)


def main() -> int:
    captures = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    if sys.argv[2:3] == ["--part"]:
        print(json.dumps(PARTS[sys.argv[3]](captures)))
        return 0
    need_gpus(1)
    plain, with_questions, beside, raw = (of(part, captures) for part in PARTS)
    failed = plain["failed"] + with_questions["failed"] + raw["non_blocking"]["failed"]
    if beside["library"] is not None:
        failed += beside["failed"] + bool(beside["told"]) + (beside["says"] is None)
    same = plain["weights"] == with_questions["weights"]
    print(
        f"{captures} captures of whole steps: {with_questions['failed']} failed beside the "
        f"questions, weights {'the same' if same else 'DIFFER'}; phases told "
        f"{', '.join(with_questions['told']) or 'none'}; beside {beside['library']} "
        f"{', '.join(beside.get('told', [])) or 'none'}; driver alone: "
        + ", ".join(f"{name} {each['failed']} failed" for name, each in raw.items())
    )
    return 0 if not failed and same and with_questions["told"] else 1


if __name__ == "__main__":
    sys.exit(main())
