# SPDX-License-Identifier: Apache-2.0
# indexed_gzip#22, dask#901: records by number out of one gzip file, inflated from the start.
import gzip
import sys
import time

import torch
from torch.utils.data import DataLoader, Dataset

RECORDS, SIZE = 640, 16_384
with gzip.open("records.gz", "wb", 1) as packed, open("records.bin", "wb") as plain:
    for k in range(RECORDS):
        data = bytes((k * i) % 251 for i in range(1024)) * (SIZE // 1024)
        packed.write(data)
        plain.write(data)


class Records(Dataset):
    def __len__(self):
        return RECORDS

    def __getitem__(self, index):
        path, opener = ("records.bin", open) if "fix" in sys.argv else ("records.gz", gzip.open)
        with opener(path, "rb") as file:
            file.seek((index * 173) % RECORDS * SIZE)
            return torch.frombuffer(bytearray(file.read(SIZE)), dtype=torch.uint8)


begin = time.time()
for _batch in DataLoader(Records(), 8, num_workers=1):
    time.sleep(0.005)
print(f"{time.time() - begin:.2f} s")
