#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# test_example.sh EXAMPLE [DATASTALL]: the native example counts what it read, and its file is there.
set -eu
example=$1 program=${2:-}
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
fail() {
    echo "$1" >&2
    cat "$place/output" >&2
    exit 1
}
unset DATASTALL_RUN_DIR
export DATASTALL_DIR="$place/runs"
seq 1 30000 | head -c 100000 > "$place/data"
"$example" "$place/data" > "$place/output"
# 100000 bytes are 1250 samples of 80 bytes, 40 batches (39 of 32 samples and one of 2), twice.
grep -q '^batches 80, samples 2500, bytes 200000, epochs 2$' "$place/output" || fail "other counts"
grep -q '^steady waits: 78,' "$place/output" || fail "other steady waits"
grep -q '^start-up waits: 6,' "$place/output" || fail "other start-up waits"
grep -q '^packing efficiency 1.0000,' "$place/output" || fail "another packing efficiency"
file=$(sed -n 's/^run file: //p' "$place/output")
test -s "$file" || fail "no run file"
if [ -n "$program" ]; then
    "$program" show --json "$(dirname "$file")" > "$place/output" || fail "datastall show failed"
    grep -q '"batches": *80' "$place/output" || fail "datastall show has other counts"
fi
# Where nothing can be recorded the loop runs all the same.
: > "$place/file"
DATASTALL_DIR="$place/file/runs" "$example" "$place/data" > "$place/output" 2> "$place/errors" ||
    fail "it does not run without recording"
grep -q '^nothing was recorded$' "$place/output" || fail "it recorded"
grep -q '^not recording: ' "$place/errors" || fail "it does not say why"
echo "the example counts what it reads"
