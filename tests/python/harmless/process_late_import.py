# fresh
# SPDX-License-Identifier: Apache-2.0
"""torch is imported in a function, in a thread, after a finder of the program's own saw it."""

import sys
import threading
from importlib.abc import MetaPathFinder


class Seeing(MetaPathFinder):
    seen = []

    def find_spec(self, name, path=None, target=None):
        if name.startswith("torch.utils.data.data") or name == "torch":
            self.seen.append(name)


sys.meta_path.insert(0, Seeing())


def loop():
    from torch.utils.data import DataLoader

    print([batch.item() for batch in DataLoader(range(3), num_workers=1)])


thread = threading.Thread(target=loop)
thread.start()
thread.join()
loop()
print(sorted(set(Seeing.seen)))
import torch.utils.data.dataloader as dataloader  # noqa: E402

print(type(dataloader.__spec__.loader).__name__, type(dataloader.__loader__).__name__)
print(
    dataloader.__spec__.name, dataloader.__file__.endswith("dataloader.py"), dataloader.__package__
)
