#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs all commands of docs/tutorials.md, from this repository after `make build` and scripts/bootstrap.sh demo:
#     PATH=$PWD/.venv/bin:$PATH examples/tutorials.sh
set -eu
cd "$(dirname "$0")/.."
DATASTALL_DIR=${DATASTALL_DIR:-$(mktemp -d)}
export DATASTALL_DIR

try() {
    printf '\n$ %s\n' "$*"
    "$@"
}
try datastall run --name pictures-1 python examples/train_pictures.py --epochs 6
try datastall predict pictures-1
try datastall run --name pictures-2 --set num_workers=2 python examples/train_pictures.py --epochs 6
try datastall run --name pictures-3 python examples/train_pictures.py --epochs 6 --cache --workers 1
try datastall compare pictures-1 pictures-2 pictures-3

try datastall run --name text-1 python examples/train_text.py --epochs 12
try datastall run --name text-2 python examples/train_text.py --epochs 12 --once
try datastall run --name text-3 python examples/train_text.py --epochs 12 --once --workers 0
try datastall compare text-1 text-2 text-3

try datastall run --name validated-1 python examples/train_text.py --epochs 12 --once --workers 0 --validate-every 20
try datastall run --name validated-2 python examples/train_text.py --epochs 12 --once --workers 0 --validate-every 20 --persistent
try datastall run --name validated-3 --set num_workers=0 python examples/train_text.py --epochs 12 --once --workers 0 --validate-every 20
try datastall compare validated-1 validated-2 validated-3
