# SPDX-License-Identifier: Apache-2.0
"""worker_init_fn, get_worker_info(), and what a worker is."""

import multiprocessing
import os
import threading

import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info


class Asking(Dataset):
    value = 0

    def __len__(self):
        return 4

    def __getitem__(self, index):
        info = get_worker_info()
        return str(
            (
                index,
                info.id,
                info.num_workers,
                info.dataset is self,
                self.value,
                torch.get_num_threads(),
                multiprocessing.current_process().daemon,
                multiprocessing.current_process()._identity,
                threading.current_thread().name,
                os.getppid() == parent,
            )
        )


def begin(worker):
    get_worker_info().dataset.value = worker + 100


parent = os.getpid()
for batch in DataLoader(Asking(), num_workers=2, worker_init_fn=begin):
    print(batch)
print(get_worker_info())
