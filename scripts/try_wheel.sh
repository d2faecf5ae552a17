#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# try_wheel.sh WHEEL [PYTHON]: installs a wheel into a fresh environment, as somebody would who has never
# seen this repository, and tries what can be tried without a network, torch or a GPU. Ends with a
# line "ok: ..." about the machine; needs nothing of this repository beside itself.
set -eu
wheel=$(readlink -f "$1") python=${2:-python3}
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
fail() {
    echo "FAILED: $1" >&2
    exit 1
}
"$python" -m venv "$place/env"
"$place/env/bin/python" -m pip install -q --disable-pip-version-check --no-index --no-deps "$wheel"
PATH=$place/env/bin:$PATH
cd "$place"
cat >loop.py <<'EOF'
import sys, time
import datastall
with datastall.stage("train"):
    for item in datastall.watch((time.sleep(0.002) or i for i in range(100)), name="slow"):
        pass
from datastall.gpu_monitor import NvitopMonitor
monitor = NvitopMonitor([0])
monitor.record_dataloader_wait(5.0, 0, 8)
assert monitor.get_dataloader_statistics()["total_batches"] == 1
sys.exit(7)
EOF
code=0
datastall run python loop.py 2>summary || code=$?
[ $code = 7 ] || { cat summary; fail "the command's exit code became $code"; }
grep -q '^VERDICT' summary || { cat summary; fail "there is no summary"; }
datastall show | grep -q 'slow.*100 batches' || fail "show does not tell the batches"
datastall show --json | python -c 'import json, sys; assert json.load(sys.stdin)["loaders"][0]["batches"] == 100'
datastall top --once >/dev/null
TERM=xterm python -c 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(["timeout", "-s", "INT", "3", "datastall", "top"])) not in (0, 124, 130))' >screen
grep -q loop.py screen || fail "top draws no screen"
datastall export --format prometheus | grep -q '^datastall_batches_total.* 100$' || fail "export does not tell the batches"
datastall ls --ids | grep -q 'loop.py$' || fail "ls tells no id"
python -m datastall --version >version
python -c 'import inspect; from datastall.gpu_monitor import NvitopMonitor as m; inspect.signature(m.record_dataloader_wait)'
[ -s env/share/man/man1/datastall.1 ] || fail "there is no man page"
bash -n env/share/bash-completion/completions/datastall.bash
datastall doctor >doctor || fail "doctor says that something failed"
if python -c 'import torch' 2>/dev/null; then
    cat >train.py <<'EOF'
import torch
from torch.utils.data import DataLoader, TensorDataset
for batch in DataLoader(TensorDataset(torch.arange(40)), batch_size=4, num_workers=2):
    pass
EOF
    datastall run -q python train.py
    datastall show | grep -q '10 batches' || fail "the DataLoader was not recorded"
    torch=", torch $(python -c 'import torch; print(torch.__version__)')"
fi
. /etc/os-release
libc=$(ldd --version 2>/dev/null | sed -n '1s/.* //p')
echo "ok: $(cat version) on $PRETTY_NAME, $(uname -m), glibc $libc, $(python -V)${torch:-, no torch}"
