#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# TaskProlog: what it prints as "export NAME=value" is in the environment of the job's tasks. Here
# the folder of runs, one per job, for all who start `datastall run`. Change the first line.

base=/shared/datastall
if [ -z "$DATASTALL_DIR" ] && [ -d "$base" ] && [ -w "$base" ]; then
    echo "export DATASTALL_DIR=$base/$SLURM_JOB_ID"
fi
exit 0
