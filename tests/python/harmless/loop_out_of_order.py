# SPDX-License-Identifier: Apache-2.0
"""in_order=False with one worker, and options that come and go with releases."""

import torch
from torch.utils.data import DataLoader

print([batch.item() for batch in DataLoader(range(5), num_workers=1, in_order=False)])
for strategy in sorted(torch.multiprocessing.get_all_sharing_strategies()):
    torch.multiprocessing.set_sharing_strategy(strategy)
    print(strategy, [batch.item() for batch in DataLoader(range(5), num_workers=2)])
