# SPDX-License-Identifier: Apache-2.0
# audio#1607: a recording is read and converted as a whole, and a second of it is used.
import sys
import time
import wave

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

RATE, SECONDS = 22_050, 120
with wave.open("long.wav", "wb") as recording:
    recording.setparams((2, 2, RATE, 0, "NONE", ""))
    recording.writeframes(np.arange(RATE * SECONDS * 2, dtype=np.int16).tobytes())


class Crops(Dataset):
    def __len__(self):
        return 160

    def __getitem__(self, index):
        at = index * 7919 % (RATE * (SECONDS - 1))
        with wave.open("long.wav", "rb") as recording:
            if "fix" in sys.argv:
                recording.setpos(at)
                data, at = recording.readframes(RATE), 0
            else:
                data = recording.readframes(recording.getnframes())
        sound = np.frombuffer(data, np.int16).reshape(-1, 2).astype(np.float32) / 32768
        return torch.from_numpy(sound[at : at + RATE])


begin = time.time()
for _batch in DataLoader(Crops(), 8, num_workers=1):
    time.sleep(0.005)
print(f"{time.time() - begin:.2f} s")
