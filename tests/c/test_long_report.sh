#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The report of a run of 10 hours and 64 ranks is small, and what stands in its names stays text:
# test_long_report.sh BENCH_LONG_RUN PROGRAM
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
hostile='</script><img src=x onerror=alert(1)><!-- &amp; " '"'"' ]]>'
"$1" "$folder/runs" 64 10 8 "$hostile" >/dev/null
"$2" report -d "$folder/runs" -o "$folder/one.html" >/dev/null
"$2" report -d "$folder/runs" long long -o "$folder/two.html" >/dev/null
for page in one two; do
    size=$(wc -c <"$folder/$page.html")
    [ "$size" -gt 100000 ] && [ "$size" -lt 1000000 ] || { echo "$page: $size bytes"; exit 1; }
    ! grep -F '<img' "$folder/$page.html" || { echo "$page: a name became markup"; exit 1; }
    [ "$(grep -o '</script>' "$folder/$page.html" | wc -l)" -eq 2 ] || { echo "$page: a name ends a script"; exit 1; }
done
