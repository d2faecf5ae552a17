# fresh
# SPDX-License-Identifier: Apache-2.0
"""multiprocessing by spawn and forkserver, without torch: the main module is imported again."""

import multiprocessing
import os
import sys

print("module", __name__, os.path.basename(sys.argv[0]), flush=True)


def work(queue, number):
    queue.put((number * 2, __name__, multiprocessing.get_start_method(), sys.flags.isolated))


if __name__ == "__main__":
    for method in ("spawn", "forkserver"):
        context = multiprocessing.get_context(method)
        queue = context.Queue()
        process = context.Process(target=work, args=(queue, 4))
        process.start()
        print(queue.get(), flush=True)
        process.join()
        print(method, process.exitcode, flush=True)
