# SPDX-License-Identifier: Apache-2.0
# ends with: -11
"""A real SIGSEGV is the program's."""

import ctypes
import resource

from torch.utils.data import DataLoader

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
for batch in DataLoader(range(3)):
    print(batch, flush=True)
    ctypes.string_at(8)
