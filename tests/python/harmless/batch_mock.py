# SPDX-License-Identifier: Apache-2.0
"""A mock as batch writes down who touches it."""

from unittest import mock

from torch.utils.data import DataLoader

batches = [mock.MagicMock(name=name) for name in ("first", "second")]
batches.append({"attention_mask": batches[0], "input_ids": batches[1]})
for batch in DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch):
    print(type(batch).__name__)
print(batches[0].mock_calls, batches[1].mock_calls, batches[0]._mock_children)
