"""On a machine with an NVIDIA GPU: CUDA graphs are captured in the main thread while a background
thread iterates a recorded loader and works on the GPU.

Every capture must succeed and replay to the same numbers as without recording, and the loader's
waits must be in the summary.

python tests/gpu/check_capture.py [CAPTURES]
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading

os.environ.pop("DATASTALL_RUN_DIR", None)

import datastall
import torch
from check_stalls import every, make_loader


def capture_once(weight: torch.Tensor, value: float) -> bool:
    state = torch.full((256, 256), value, device="cuda")
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="global"):
        result = torch.tanh(state @ weight)
    graph.replay()
    torch.cuda.synchronize()
    return bool(torch.equal(result, torch.tanh(state @ weight)))


def main() -> int:
    captures = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    weight = torch.randn(256, 256, device="cuda")
    stop = threading.Event()
    batches = 0

    def iterate() -> None:
        nonlocal batches
        torch.cuda.set_device(0)
        for _ in datastall.watch(make_loader(every(0.002)), name="background"):
            batches += 1
            if stop.is_set():
                return

    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        datastall.install(folder)
        capture_once(weight, 1.0)  # what is made once is made before
        thread = threading.Thread(target=iterate)
        thread.start()
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
    return 1 if failed or loader["batches"] != batches else 0


if __name__ == "__main__":
    sys.exit(main())
