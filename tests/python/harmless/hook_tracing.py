# SPDX-License-Identifier: Apache-2.0
"""What a tracer, a profiler and a look at the frames see of a loop."""

import cProfile
import pstats
import sys

from torch.utils.data import DataLoader

events = []


def trace(frame, event, argument):
    name = frame.f_code.co_filename
    if "torch/utils/data" in name or frame.f_code is loop.__code__:
        events.append((event, frame.f_code.co_name, frame.f_lineno))
    return trace


def profile(frame, event, argument):
    what = getattr(argument, "__qualname__", "") if event.startswith("c_") else ""
    if "torch/utils/data" in frame.f_code.co_filename:
        events.append((event, frame.f_code.co_name, what))


def loop(size):
    for batch in DataLoader(list(range(4)), batch_size=size):
        events.append(len(batch) if size else int(batch))
    return next(iter(DataLoader([7])))


class Callers:
    def __len__(self):
        return 2

    def __getitem__(self, index):
        frame, names = sys._getframe(), []
        while frame is not None:
            names.append(frame.f_code.co_name)
            frame = frame.f_back
        print(names)
        return index


loop(2)
for size in (2, None):
    sys.settrace(trace)
    loop(size)
    sys.settrace(None)
    print(len(events), events)
    events.clear()
    sys.setprofile(profile)
    loop(size)
    sys.setprofile(None)
    print(len(events), events)
    events.clear()
profiler = cProfile.Profile()
profiler.runcall(loop, 2)
stats = pstats.Stats(profiler).stats
print(sorted((key[2], value[0]) for key, value in stats.items() if "utils/data" in key[0]))
list(DataLoader(Callers(), collate_fn=lambda items: items))
