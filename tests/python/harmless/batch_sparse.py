# SPDX-License-Identifier: Apache-2.0
"""Sparse tensors of each layout, and MKL-DNN's."""

import warnings

import torch
from torch.utils.data import DataLoader

warnings.simplefilter("ignore")
dense = torch.eye(4)
kinds = [
    dense.to_sparse(),
    dense.to_sparse_csr(),
    dense.to_sparse_csc(),
    dense.to_sparse_bsr((2, 2)),
]
if torch.backends.mkldnn.is_available():
    kinds.append(dense.to_mkldnn())
batches = []
for tensor in kinds:
    batches += [tensor, [tensor], {"attention_mask": tensor}, {"cu_seqlens": tensor}]
for batch in DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch):
    print(type(batch).__name__)
