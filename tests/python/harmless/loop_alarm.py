# SPDX-License-Identifier: Apache-2.0
"""A signal handler that raises, and one that iterates, while a batch is waited for."""

import signal
import time

from torch.utils.data import DataLoader, Dataset


class Slow(Dataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        if index == 1 and armed:
            signal.raise_signal(signal.SIGALRM)
        if index == 2:
            time.sleep(0.01)
        return index


def raises(number, frame):
    raise TimeoutError(f"{number} {frame.f_code.co_name}")


def iterates(number, frame):
    armed.clear()
    print("handler", [batch.item() for batch in DataLoader(Slow())])


for handler in (raises, iterates):
    armed = [True]
    signal.signal(signal.SIGALRM, handler)
    iterator = iter(DataLoader(Slow()))
    while True:
        try:
            print(next(iterator).item())
        except TimeoutError as error:
            print("raised", error)
        except StopIteration:
            break
print(signal.getsignal(signal.SIGALRM).__name__)
