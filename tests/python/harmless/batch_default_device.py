# SPDX-License-Identifier: Apache-2.0
"""torch.set_default_device() and set_default_dtype() hold in the loop as before it."""

import torch
from torch.utils.data import DataLoader

torch.set_default_device("cpu")
torch.set_default_dtype(torch.float64)
for batch in DataLoader([{"attention_mask": torch.ones(2, 3)}] * 3, batch_size=None):
    print(torch.ones(1).dtype, torch.get_default_device(), batch["attention_mask"].device)
    print(torch._C._len_torch_function_stack(), torch._C._is_torch_function_enabled())
loader = iter(DataLoader([{"attention_mask": torch.ones(2, 3)}] * 3, batch_size=None))
torch.set_default_device("meta")
for batch in loader:
    print(torch.ones(1).device, batch["attention_mask"].device)
