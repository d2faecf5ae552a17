# SPDX-License-Identifier: Apache-2.0
"""The handlers of signals that Python knows, before and after a loop, in workers too."""

import signal

from torch.utils.data import DataLoader, Dataset


def handlers():
    return {
        s.name: str(signal.getsignal(s))
        for s in sorted(signal.valid_signals())
        if isinstance(s, signal.Signals)
    }


class Asking(Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        return str(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, []))) + str(handlers())


before = handlers()
print(*DataLoader(Asking(), batch_size=None, num_workers=1))
print(before == handlers(), before, signal.pthread_sigmask(signal.SIG_BLOCK, []))
print(signal.getitimer(signal.ITIMER_REAL), signal.set_wakeup_fd(-1))
