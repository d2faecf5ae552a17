# SPDX-License-Identifier: Apache-2.0
"""Complex tensors and views that are lazily negated or conjugated."""

import torch
from torch.utils.data import DataLoader

numbers = torch.complex(torch.ones(3, 4), torch.ones(3, 4))
masks = [numbers, numbers.conj(), numbers.conj().imag, numbers.real, torch.view_as_real(numbers)]
for batch in DataLoader(
    [{"attention_mask": m} for m in masks], batch_size=None, collate_fn=lambda b: b
):
    mask = batch["attention_mask"]
    print(mask.dtype, mask.is_conj(), mask.is_neg(), mask.sum().item())
