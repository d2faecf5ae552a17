# SPDX-License-Identifier: Apache-2.0
"""The environment that the program sees, but for what `datastall run` documents."""

import locale
import os
import subprocess
import sys

from torch.utils.data import DataLoader


def names(environment):
    ours = ("DATASTALL_",)
    return sorted(n for n in environment if not n.startswith(ours) and n != "PYTHONPATH")


before = dict(os.environ)
list(DataLoader(range(3), num_workers=1))
print(before == dict(os.environ), names(before))
print({name: before[name] for name in ("OMP_NUM_THREADS", "PYTHONHASHSEED") if name in before})
print(locale.getlocale(), locale.getpreferredencoding(False), sys.getfilesystemencoding())
child = subprocess.run(["env", "-0"], capture_output=True, text=True, check=True).stdout
print(names(entry.partition("=")[0] for entry in child.split("\0") if entry) == names(before))
