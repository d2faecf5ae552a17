#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# At the end of a job: its verdict beside its runs, as text and as JSON.

runs=/shared/datastall/$SLURM_JOB_ID
if [ -d "$runs" ] && command -v datastall > /dev/null; then
    datastall show --job "slurm-$SLURM_JOB_ID" --dir "$runs" > "$runs/verdict.txt" 2>&1
    datastall show --job "slurm-$SLURM_JOB_ID" --dir "$runs" --json > "$runs/verdict.json" 2> /dev/null
fi
exit 0
