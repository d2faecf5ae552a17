# SPDX-License-Identifier: Apache-2.0
"""A look at the frames above must not write the locals of somebody's function anew."""

from torch.utils.data import DataLoader


class Mine(DataLoader):
    def __init__(self, data):
        number = 1
        seen = locals()
        number = 2
        super().__init__(data)
        print(number, seen["number"], sorted(seen))


def make():
    number = 1
    seen = locals()
    number = 2
    loader = Mine([1, 2])
    print(number, seen["number"])
    return loader


print([batch.tolist() for batch in make()])
source = """
def __init__(self):
    loaders.append(DataLoader([1]))
__init__(3)
"""


class Namespace(dict):
    def get(self, *args):
        raise SystemExit("somebody looked")

    def __getitem__(self, key):
        return super().__getitem__(key)


namespace = Namespace(DataLoader=DataLoader, loaders=[])
exec(source, namespace)
print(len(namespace["loaders"]), [b.tolist() for b in namespace["loaders"][0]])
