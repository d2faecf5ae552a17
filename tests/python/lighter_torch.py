# SPDX-License-Identifier: Apache-2.0
"""Keeps Python's collector still while PyTorch is imported, and off what that made.

scripts/bootstrap.sh puts this file into the environment of the tests, where a .pth file imports it
at each start that has LIGHTER_TORCH among its variables (support.py). A third of the CPU time of
such a start is the collector's, which goes again and again through hundreds of thousands of
objects that stay; the tests start some hundreds. PyTorch itself is whole, and what a program makes
after its import is collected as always. LIGHTER_TORCH= (empty) leaves all as it is for a user.
"""

import gc
import sys


def _quietly(loader):
    """Lets a loader execute its one module without the collector."""

    def exec_module(module):
        del loader.exec_module
        was_on = gc.isenabled()
        gc.disable()
        try:
            loader.exec_module(module)
        finally:
            gc.freeze()
            if was_on:
                gc.enable()

    loader.exec_module = exec_module


class _Finder:
    """Is gone from sys.meta_path before PyTorch looks at it."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "torch":
            return None
        sys.meta_path.remove(_Finder)
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                if spec.loader is not None:
                    _quietly(spec.loader)
                return spec
        return None


sys.meta_path.insert(0, _Finder)
