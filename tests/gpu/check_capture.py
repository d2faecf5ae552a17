# SPDX-License-Identifier: Apache-2.0
"""On a machine with an NVIDIA GPU: CUDA graphs are captured in the main thread while a background
thread iterates a recorded loader.

Every capture must succeed and replay to the same numbers as without recording, and the loader's
waits must be in the summary. What fails in a plain program too is kept out: cuBLAS is made before
the first capture, and the loader does not pin, since pinning allocates in the background thread,
which a capture in global mode forbids to every thread.

python tests/gpu/check_capture.py [CAPTURES]
"""

from __future__ import annotations

import sys
import tempfile
import threading

import datastall
import torch
from checks import forget_run, need_gpus
from gpu_loops import every, make_loader


def make_cublas(weight: torch.Tensor) -> None:
    """Handle and workspace of this thread; on a side stream, as a capture has one."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            torch.tanh(weight @ weight)
    torch.cuda.current_stream().wait_stream(side)
    torch.tanh(weight @ weight)
    torch.cuda.synchronize()


def capture_once(weight: torch.Tensor, value: float) -> bool:
    state = torch.full((256, 256), value, device="cuda")
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="global"):
        result = torch.tanh(state @ weight)
    graph.replay()
    torch.cuda.synchronize()
    return bool(torch.equal(result, torch.tanh(state @ weight)))


def main() -> int:
    captures = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    need_gpus(1)
    forget_run()
    weight = torch.randn(256, 256, device="cuda")
    make_cublas(weight)
    stop, begun = threading.Event(), threading.Event()
    batches = 0

    def iterate() -> None:
        nonlocal batches
        torch.cuda.set_device(0)
        loader = make_loader(every(0.002), pin=False)
        for _ in datastall.watch(loader, name="background"):
            batches += 1
            begun.set()
            if stop.is_set():
                return

    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        datastall.install(folder)
        thread = threading.Thread(target=iterate)
        thread.start()
        begun.wait(60)  # forking workers and the first batch are no part of the check
        for index in range(captures):
            try:
                failed += not capture_once(weight, float(index))
            except RuntimeError as error:
                failed += 1
                print(f"capture {index}: {error}")
        stop.set()
        thread.join()
        loader = datastall.summary()["loaders"][0]
    print(
        f"{captures - failed} of {captures} captures succeeded beside {batches} batches of a "
        f"background thread; recorded {loader['batches']}, coverage of events "
        f"{loader['exposed_stall_s']['event_coverage']}"
    )
    return 1 if failed or not batches or loader["batches"] != batches else 0


if __name__ == "__main__":
    sys.exit(main())
