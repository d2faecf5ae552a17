# SPDX-License-Identifier: Apache-2.0
"""No method of a batch's class is called but by the program."""

from torch.utils.data import DataLoader

calls = []


def noting(name, answer):
    def method(self, *arguments):
        calls.append(name)
        return answer

    return method


names = {
    "__len__": 3,
    "__bool__": True,
    "__contains__": True,
    "__getitem__": 1,
    "__iter__": iter(()),
    "__eq__": True,
    "__hash__": 5,
    "__getattr__": 7,
    "keys": ["attention_mask"],
    "__index__": 2,
    "__array__": None,
}
Batch = type("Batch", (), {name: noting(name, answer) for name, answer in names.items()})
Looking = type(
    "Looking",
    (),
    {
        "__getattribute__": lambda self, name: (
            calls.append(name) or object.__getattribute__(self, name)
        )
    },
)
batches = [Batch(), [Batch()], (Batch(), Batch()), {"attention_mask": Batch()}, {"x": Batch()}]
batches += [Looking(), (Looking(),)]
for _batch in DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch):
    pass
print("called", calls)
