#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# test_debug_python.sh [PYTEST ARGUMENTS...]: Python tests under a debug build of the interpreter, which stops where an
# extension calls Python code with an error pending, returns with one, or frees what is in use. By default the tests of
# what runs in a user's loop. As root, on Debian 12, once:
#
#   apt-get install python3.11-dbg
#
# After `make test`, whose environment it shares. Twenty minutes on two slow cores; not part of `make test`.
set -eu
cd "$(dirname "$0")/.."
python=${DATASTALL_DEBUG_PYTHON:-python3.11-dbg}
packages=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
made=$(pwd)/build-debug-python
[ -x "$made/bin/python" ] || "$python" -m venv --without-pip "$made"
own=$("$made/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo "$packages" >"$own/packages.pth"
cp "$packages"/*.pth "$own/"
ln -sfn "$packages/datastall" "$own/datastall"
cp .venv/bin/datastall "$made/bin/"
[ $# -gt 0 ] || set -- tests/python/test_steps.py tests/python/test_loops.py tests/python/test_hooks.py \
    tests/python/test_batches.py tests/python/test_manners.py tests/python/test_fault_signals.py \
    tests/python/test_gpu_monitor.py tests/python/test_api.py
PATH=$made/bin:$PATH
export PATH
exec python -m pytest -q -n "$(nproc)" "$@"
