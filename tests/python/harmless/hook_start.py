# fresh
# SPDX-License-Identifier: Apache-2.0
"""What an interpreter holds at its start."""

import os
import sys

print("sitecustomize" in sys.modules, "usercustomize" in sys.modules)
try:
    __import__("sitecustomize")
except ImportError as error:
    print(error, error.name)
print([name for name in sys.modules if "datastall" in name or "inject" in name])
print(sys.path[1:], [name for name in dir() if not name.startswith("__")])
print(sys.flags, os.getcwd() == os.path.dirname(os.path.abspath(sys.argv[0])) or "elsewhere")
print(sorted(sys.path_importer_cache) == sorted(set(sys.path_importer_cache)))
print(sys.gettrace(), sys.getprofile(), sys.excepthook is sys.__excepthook__)
