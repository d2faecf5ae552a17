#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# test_gpu_example.sh EXAMPLE: the GPU monitor's example, on a machine whose driver is out of reach.
set -eu
example=$(realpath "$1")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
fail() {
    echo "$1" >&2
    cat output >&2
    exit 1
}
seq 1 1000 > data
"$example" data gpu.log > output
# 1000 lines are 63 batches of up to 16; their bytes with line ends are 3893.
grep -q '^batches 63, sequences 1000, tokens 3893$' output || fail "other counts"
grep -q '^stage infer: ' output || fail "no stage"
grep -q '^# GPU Monitoring Log$' gpu.log || fail "no log"
grep -q '^# Ended: ' gpu.log || fail "the log has no end"
grep -q '"total_sequences": 1000' gpu_metrics.json || fail "the export has other counts"
head -1 gpu_metrics.csv | grep -qx 'timestamp,device_id,gpu_util,mem_used,mem_percent,stage' ||
    fail "other columns"
# Nowhere to write: the loop runs all the same and says so.
mkdir shut
"$example" data shut/missing/gpu.log > output || fail "it does not run without a log"
echo "the example counts what it reads"
