# SPDX-License-Identifier: Apache-2.0
"""Named tensors; making one warns, looking at it does not."""

import warnings

import torch
from torch.utils.data import DataLoader

with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    mask = torch.ones(3, 4)
    if hasattr(mask, "rename"):  # gone in some releases
        mask = mask.rename("sample", "token")
    before = len(said)
    for batch in DataLoader(
        [{"attention_mask": mask}] * 3, batch_size=None, collate_fn=lambda b: b
    ):
        print(getattr(batch["attention_mask"], "names", None))
    print(len(said) - before)
