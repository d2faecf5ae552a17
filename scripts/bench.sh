#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `make bench`: what recording costs. Figures of one run are comparable with each other only.
set -eu
cd "$(dirname "$0")/.."
PATH=$(pwd)/.venv/bin:$PATH
DATASTALL_DIR=$(mktemp -d)
export DATASTALL_DIR
[ -e build-bench/build.ninja ] ||
    meson setup build-bench -Dtests=true -Dpython=false -Dbuildtype=release >/dev/null
ninja -C build-bench bench/bench_record bench/bench_quantiles bench/bench_live_ranks bench/record_count src/datastall \
    >/dev/null
echo "== one wait in C, and the usual hand-made recorder"
python bench/plain_recorder.py build-bench/bench/bench_record
echo
echo "== one wait in C, counted: instructions, and cache lines (needs valgrind)"
if command -v valgrind >/dev/null; then
    python bench/record_lines.py build-bench/bench/record_count
else
    echo "no valgrind here"
fi
echo
echo "== one next() of watch() with 32 MB touched between two, against the hand-made recorder"
python bench/cold_cost.py
echo
echo "== one next() of a DataLoader from Python"
python bench/hook_cost.py
echo
echo "== recorded waits against the program's own clock"
python bench/wait_error.py
echo
echo "== where batches are made, and whole loops with against without"
python bench/worker_cost.py 6
echo
echo "== the drop-in monitor, against a hand-made one"
python bench/gpu_monitor_cost.py
echo
echo "== sampling the GPUs"
python bench/sampler_cost.py 10
echo
echo "== quantiles against sorting"
build-bench/bench/bench_quantiles
echo
echo "== 64 ranks writing, alone and beside four scrapers and two tops (three minutes)"
python bench/live_load.py build-bench/bench/bench_live_ranks build-bench/src/datastall
rm -rf "$DATASTALL_DIR"
