# SPDX-License-Identifier: Apache-2.0
# graphnet#451: the rows of an event are looked for in the table of all events.
import sqlite3
import sys
import time

import torch
from torch.utils.data import DataLoader, Dataset

EVENTS, CHOSEN, PULSES = 6000, 320, 20
with sqlite3.connect("events.db") as made:
    for table, events in (("pulses", range(EVENTS)), ("chosen", range(0, CHOSEN * 17, 17))):
        made.execute(f"CREATE TABLE {table} (event INTEGER, x REAL, y REAL, charge REAL)")
        made.executemany(
            f"INSERT INTO {table} VALUES (?, ?, ?, ?)",
            ((event, k * 0.5, k * 0.25, k * 2.0) for event in events for k in range(PULSES)),
        )
made.close()
TABLE = "chosen" if "fix" in sys.argv else "pulses"


class Events(Dataset):
    base = None

    def __len__(self):
        return CHOSEN

    def __getitem__(self, index):
        if self.base is None:
            self.base = sqlite3.connect("events.db")
        query = f"SELECT x, y, charge FROM {TABLE} WHERE event = ?"
        return torch.tensor(self.base.execute(query, (index * 17,)).fetchall())


begin = time.time()
for _batch in DataLoader(Events(), 8, num_workers=1):
    time.sleep(0.005)
print(f"{time.time() - begin:.2f} s")
