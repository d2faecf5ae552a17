# SPDX-License-Identifier: Apache-2.0
# ir_datasets#25: a stream is split by skipping parsed rows, so each worker parses all of them.
import itertools
import json
import sys
import time

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

ROWS = 1600
with open("rows.jsonl", "w") as file:
    for k in range(ROWS):
        file.write(json.dumps({"ids": [k * i % 997 for i in range(12_000)]}) + "\n")


class Rows(IterableDataset):
    def __iter__(self):
        worker = get_worker_info()
        with open("rows.jsonl") as file:
            if "fix" in sys.argv:
                lines = itertools.islice(file, worker.id, None, worker.num_workers)
                mine = map(json.loads, lines)
            else:
                parsed = map(json.loads, file)
                mine = itertools.islice(parsed, worker.id, None, worker.num_workers)
            for row in mine:
                yield torch.tensor(row["ids"][:64])


begin = time.time()
for _batch in DataLoader(Rows(), 16, num_workers=2 if "fix" in sys.argv else 1):
    time.sleep(0.003)
print(f"{time.time() - begin:.2f} s")
