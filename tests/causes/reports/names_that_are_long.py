# SPDX-License-Identifier: Apache-2.0
# Three call sites with long names, tiny loaders: nothing waits.
import time

import torch
from torch.utils.data import DataLoader, TensorDataset


def a_function_of_the_training_program_that_makes_loaders(count):
    return DataLoader(TensorDataset(torch.zeros(count, 2)), batch_size=8)


def helper(count):
    return a_function_of_the_training_program_that_makes_loaders(count)


begin = time.time()
for loader in (
    helper(8),
    helper(16),
    helper(24),
):
    for _batch in loader:
        pass
print(f"{time.time() - begin:.2f} s")
