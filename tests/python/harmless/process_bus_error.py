# SPDX-License-Identifier: Apache-2.0
# ends with: -7
"""A SIGBUS of the program's own: a file that it cut under its map."""

import mmap
import resource

from torch.utils.data import DataLoader

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
with open("cut", "w+b") as file:
    file.truncate(8192)
    memory = mmap.mmap(file.fileno(), 8192)
    for batch in DataLoader(range(3)):
        print(batch, flush=True)
        file.truncate(0)
        print(memory[5000])
