#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `make demo`: the same training twice, first with a loader that is too slow, then with one that is not.
set -eu
cd "$(dirname "$0")/.."
bin=$(pwd)/.venv/bin
PATH=$bin:$PATH
runs=$(mktemp -d)

echo "== 1. datastall run python examples/train_pictures.py"
echo "      every crop decodes a whole picture, in the training process"
datastall run --dir "$runs" --name first python examples/train_pictures.py
echo
echo "== 2. datastall run python examples/train_pictures.py --cache --workers 1"
echo "      pictures are decoded once, crops are cut by a worker"
datastall run --dir "$runs" --name second python examples/train_pictures.py --cache --workers 1
echo
echo "== 3. datastall ls"
datastall ls --dir "$runs"
echo
# The demonstration fails where it would not show what it claims.
first=$(datastall ls --dir "$runs" | sed -n 's/^\([^ ]*-first\) .*/\1/p')
second=$(datastall ls --dir "$runs" | sed -n 's/^\([^ ]*-second\) .*/\1/p')
echo "== 4. datastall show --check 'stall<30'   (for scripts and CI: exit 1 when it does not hold)"
if datastall show --dir "$runs" "$first" --check 'stall<30' >/dev/null; then
    echo "demo: the first run should have starved" >&2
    exit 1
fi
datastall show --dir "$runs" "$second" --check 'stall<30' >/dev/null
echo
echo "the runs are in $runs; the program is $bin/datastall"
