# fresh
# SPDX-License-Identifier: Apache-2.0
"""The state of an interpreter that has just begun, without torch."""

import gc
import os
import signal
import sys
import threading
import warnings

print(sys.argv[1:], [os.path.basename(path) for path in sys.path], sys.flags)
print(gc.isenabled(), gc.get_threshold(), gc.callbacks, gc.get_freeze_count())
print(sys.getrecursionlimit(), sys.getswitchinterval(), sys.gettrace(), sys.getprofile())
print(
    sys.excepthook is sys.__excepthook__,
    sys.displayhook is sys.__displayhook__,
    sys.dont_write_bytecode,
)
print(len(warnings.filters), sys.path_hooks == sys.path_hooks[:2], threading.active_count())
print(
    {
        s.name: str(signal.getsignal(s))
        for s in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGBUS)
    }
)
print(sys.stdout.encoding, sys.stdout.errors, sys.stdout.line_buffering, sys.stderr.errors)
print(
    "torch" in sys.modules,
    "threading" in sys.modules,
    "datastall" in sys.modules,
    "json" in sys.modules,
)
print(sorted(os.listdir("/proc/self/fd"))[:3], len(os.listdir("/proc/self/task")))
