# SPDX-License-Identifier: Apache-2.0
"""Standard output and error are replaced, redirected, closed."""

import contextlib
import io
import os
import sys

from torch.utils.data import DataLoader

text = io.StringIO()
with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
    print([batch.item() for batch in DataLoader(range(3), num_workers=1)])
print(repr(text.getvalue()), flush=True)
kept = os.dup(1)
sys.stdout = sys.stderr = None
os.close(1)
os.close(2)
list(DataLoader(range(3), num_workers=1))
os.write(kept, b"after\n")
