# SPDX-License-Identifier: Apache-2.0
# Lightning#10389, pytracking#374: persistent workers, and epochs so short that each waits to begin.
import sys
import time

import torch
from torch.utils.data import DataLoader, TensorDataset

kept = {"num_workers": 2, "persistent_workers": True}
options = {} if "fix" in sys.argv else kept
loader = DataLoader(TensorDataset(torch.randn(64, 8)), 64, shuffle=True, **options)
begin = time.time()
for _ in range(2500):
    for _batch in loader:
        pass
print(f"{time.time() - begin:.2f} s")
