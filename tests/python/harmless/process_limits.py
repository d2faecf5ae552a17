# SPDX-License-Identifier: Apache-2.0
"""Limits, working folder, umask, group, priority, affinity."""

import os
import resource

from torch.utils.data import DataLoader


def state():
    names = sorted(name for name in dir(resource) if name.startswith("RLIMIT_"))
    mask = os.umask(0)
    os.umask(mask)
    return (
        {name: resource.getrlimit(getattr(resource, name)) for name in names},
        os.path.basename(os.getcwd()),
        mask,
        os.getpgid(0) == os.getpid(),
        os.getpriority(os.PRIO_PROCESS, 0),
        sorted(os.sched_getaffinity(0)),
        os.sched_getscheduler(0),
    )


before = state()
list(DataLoader(range(4), num_workers=2))
print(before == state(), before)
print(sorted(os.listdir(".")))
