# SPDX-License-Identifier: Apache-2.0
# MONAI#1138, nanochat#832: in each worker a thread of its own parses ahead and the stream waits.
import json
import queue
import sys
import threading
import time

import torch
from torch.utils.data import DataLoader, IterableDataset

LINE = json.dumps({"words": [str(k * 7) for k in range(12_000)], "label": 1})


def rows(count):
    for _ in range(count):
        words = json.loads(LINE)["words"]
        yield torch.tensor([int(word) for word in words[:: 60 if "fix" in sys.argv else 1]][:200])


class Lines(IterableDataset):
    def __iter__(self):
        ready = queue.Queue(4)

        def parse():
            for row in rows(700):
                ready.put(row)
            ready.put(None)

        threading.Thread(target=parse, daemon=True).start()
        while (row := ready.get()) is not None:
            yield row


begin = time.time()
for _batch in DataLoader(Lines(), 8, num_workers=1):
    time.sleep(0.001)
print(f"{time.time() - begin:.2f} s")
