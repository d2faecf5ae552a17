# SPDX-License-Identifier: Apache-2.0
# datasets#2483, Megatron-Energon#40: memory is collected after each item, amid many living objects.
import gc
import sys
import time

import torch
from torch.utils.data import DataLoader, Dataset

records = [{"name": f"clip{k}", "spans": [k, k + 1]} for k in range(70_000)]


class Clips(Dataset):
    def __len__(self):
        return 48

    def __getitem__(self, index):
        values = torch.tensor(records[index]["spans"], dtype=torch.float32).repeat(200)
        gc.collect()
        return values


def freeze(_worker):
    gc.freeze()


begin = time.time()
loader = DataLoader(Clips(), 4, num_workers=1, worker_init_fn=freeze if "fix" in sys.argv else None)
for _batch in loader:
    time.sleep(0.01)
print(f"{time.time() - begin:.2f} s")
