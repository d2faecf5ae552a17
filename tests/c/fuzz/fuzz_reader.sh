#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fuzz_reader.sh FUZZER SEEDS CORPUS: fuzzes for $DATASTALL_FUZZ_SECONDS (120), starting from the small
# files and from what earlier runs found in CORPUS.
set -eu
fuzzer=$1 seeds=$2 corpus=$3
mkdir -p "$corpus"
"$seeds" "$corpus/seed.dsrun"
"$seeds" "$corpus/seed-gpu.dsrun" gpu
head -c 4096 "$corpus/seed.dsrun" > "$corpus/seed-header.dsrun"
exec "$fuzzer" -max_total_time="${DATASTALL_FUZZ_SECONDS:-120}" -max_len=300000 -rss_limit_mb=2048 \
    -timeout=20 -print_final_stats=1 -artifact_prefix="$corpus/../" "$corpus"
