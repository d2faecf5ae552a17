# SPDX-License-Identifier: Apache-2.0
"""The modes of torch and of the interpreter are the same inside of items as around them."""

import decimal
import sys
import threading

import torch
from torch.utils.data import DataLoader, Dataset

local = threading.local()
local.value = 5


class Asking(Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        return (
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.is_autocast_enabled("cpu"),
            torch.get_default_dtype() == torch.float32,
            local.value,
            decimal.getcontext().prec,
            threading.current_thread() is threading.main_thread(),
            sys.gettrace() is None and sys.getprofile() is None,
            torch._C._len_torch_function_stack(),
            torch._C._len_torch_dispatch_stack(),
        )


decimal.getcontext().prec = 9
with torch.no_grad(), torch.autocast("cpu"):
    print(list(DataLoader(Asking(), collate_fn=list)))
with torch.inference_mode():
    print(list(DataLoader(Asking(), collate_fn=list)))
print(list(DataLoader(Asking(), collate_fn=list)), torch.is_grad_enabled())
