# SPDX-License-Identifier: Apache-2.0
"""Loops in an event loop, in tasks and in an executor."""

import asyncio
import contextvars

from torch.utils.data import DataLoader, Dataset

variable = contextvars.ContextVar("variable", default="unset")


class Context(Dataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        return f"{index} {variable.get()}"


async def iterate(name):
    variable.set(name)
    got = []
    for batch in DataLoader(Context(), batch_size=2):
        got += batch
        await asyncio.sleep(0)
    return got


async def main():
    print(await asyncio.gather(iterate("a"), iterate("b")))
    loader = DataLoader(Context(), batch_size=None)
    print(await asyncio.get_running_loop().run_in_executor(None, lambda: list(loader)))


asyncio.run(main())
