#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `make test`: the C tests and the Python tests. `make test ALL=1`: also static checks, the C tests with
# the address and undefined behaviour sanitizers and with the thread sanitizer, and fuzzing.
#
#   scripts/test.sh [all]
#
# Says how long each took and ends with one line "N passed, N failed" over all of them; exit 1 when
# anything failed. What cannot be tried here (no root, no ptrace) is skipped, and counted by itself.
# Either half waits much of its time, so the Python tests run beside all the others, and what they say
# is printed when both have ended; what they need is installed beside the C tests as well.
#
# DATASTALL_TEST_WORKERS is how many Python tests run at once (one more than there are CPUs, at most 8:
# half of their time they wait, but on a slow machine more of them are in each other's way).
# DATASTALL_TEST_STARTS=whole starts an interpreter for each program (CONTRIBUTING.md).
# DATASTALL_TEST_SECONDS is the length of the stress test, of which there are three (3),
# DATASTALL_TEST_STRIDE thins the byte flips behind the header (20), four times as much under a
# sanitizer, DATASTALL_FUZZ_SECONDS is the length of the fuzzing (10). A whole night:
# DATASTALL_TEST_SECONDS=3600 DATASTALL_TEST_STRIDE=1 DATASTALL_FUZZ_SECONDS=18000 make test ALL=1
set -u
cd "$(dirname "$0")/.."
all=${1:-}
need=test
[ -z "$all" ] || need=check
# What is built with comes first: Debian's packages are installed by one at a time.
scripts/bootstrap.sh $need packages || exit 1
PATH=$(pwd)/.venv/bin:$PATH
export PATH
export DATASTALL_TEST_SECONDS="${DATASTALL_TEST_SECONDS:-3}"
export DATASTALL_TEST_STRIDE="${DATASTALL_TEST_STRIDE:-20}"
export DATASTALL_FUZZ_SECONDS="${DATASTALL_FUZZ_SECONDS:-10}"
workers="${DATASTALL_TEST_WORKERS:-$(nproc | awk '{ print $1 < 7 ? $1 + 1 : 8 }')}"
logs=$(mktemp -d)
python_tests=
trap '[ -z "$python_tests" ] || kill $python_tests 2>/dev/null; rm -rf "$logs"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
passed=0
failed=0
skipped=0
part=
began=$(date +%s)
part_cpu=0
: >"$logs/times"

count() { # passed failed [skipped]
    passed=$((passed + $1))
    failed=$((failed + $2))
    skipped=$((skipped + ${3:-0}))
}

# Seconds of CPU that all have used that have ended. Those of the Python tests count in the section in which
# these end: their own if they are waited for.
take_cpu() {
    times >"$logs/cpu" # not $(times): a subshell has used none
    cpu=$(awk 'NR == 2 { for (i = 1; i <= 2; i++) { split($i, t, /[ms]/); s += 60 * t[1] + t[2] } }
               END { printf "%d", s }' "$logs/cpu")
}

# Ends the section before, if there is one.
section() { # [name]
    now=$(date +%s)
    take_cpu
    [ -z "$part" ] ||
        printf '%5d s %5d s of CPU  %s\n' $((now - part_began)) $((cpu - part_cpu)) "$part" >>"$logs/times"
    part="$*" part_began=$now part_cpu=$cpu
    [ -z "$part" ] || printf '\n== %s\n' "$part"
}

# A shell of its own would survive the signal that ends this one: it becomes what it starts.
sh -c 'scripts/bootstrap.sh "$1" && touch "$2/installed" &&
    exec python -m pytest -n "$3" --dist loadgroup --durations=10 tests/python' \
    sh "$need" "$logs" "$workers" >"$logs/pytest" 2>&1 &
python_tests=$!

# Configures a folder and builds targets of it; a failure counts as one. A warning of meson ends it: what it
# says of features that are newer than meson_version stops those who have no newer one.
prepare() { # folder targets options...
    folder=$1 targets=$2
    shift 2
    section "$folder: build"
    [ -e "$folder/build.ninja" ] ||
        meson setup --fatal-meson-warnings "$folder" -Dpython=false "$@" >"$logs/setup" 2>&1 ||
        { cat "$logs/setup"; count 0 1; return 1; }
    # shellcheck disable=SC2086 # the targets are words
    ninja -C "$folder" $targets >"$logs/build" 2>&1 || { tail -40 "$logs/build"; count 0 1; return 1; }
}

number_after() { # word, of meson's closing table
    sed -n "s/^$1: *\([0-9]*\).*/\1/p" "$logs/meson" | awk '{ n += $1 } END { print n + 0 }'
}

meson_test() { # folder name arguments...
    folder=$1
    section "$2"
    shift 2
    meson test -C "$folder" --no-rebuild --print-errorlogs "$@" >"$logs/meson" 2>&1
    ended=$?
    grep -vE '^(ninja|ninja: |Full log)' "$logs/meson" | sed '/^$/d'
    ok=$(number_after Ok)
    fail=$(($(number_after Fail) + $(number_after Timeout) + $(number_after 'Unexpected Pass')))
    # Neither a run of nothing nor an end that no test explains is a success.
    [ "$ok" -gt 0 ] && { [ "$ended" -eq 0 ] || [ "$fail" -gt 0 ]; } || fail=$((fail + 1))
    count "$ok" "$fail" "$(number_after Skipped)"
}

# Optimised as what is delivered; lines are enough of debugging.
prepare build-test all -Dtests=true -Doptimization=2 -Ddebug=false -Dc_args=-g1 && meson_test build-test "C tests"

# What a sanitizer, a linter or a fuzzer says beyond the tests.
all_the_rest() {
    # Less to optimise and to describe: a third less of the time to compile.
    sanitized="-Doptimization=1 -Ddebug=false -Dc_args=-g1"
    ld.gold --version >/dev/null 2>&1 && sanitized="$sanitized -Dc_link_args=-fuse-ld=gold"
    export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
    prepare build-asan meson-test-prereq $sanitized -Dtests=true -Dshared_library=false -Db_sanitize=address,undefined \
        -Db_lundef=false &&
        DATASTALL_TEST_STRIDE=$((DATASTALL_TEST_STRIDE * 4)) \
            meson_test build-asan "C tests, address and undefined-behaviour sanitizers"

    # The others have one thread, and no signal comes to them: this sanitizer can say nothing about them.
    threaded="handles fork limits home feed sampler gpu_monitor steps stall probe threads"
    prepare build-tsan "$(printf 'tests/c/test_%s ' $threaded) tests/c/libcuda.so" \
        $sanitized -Dtests=true -Dshared_library=false -Db_sanitize=thread -Db_lundef=false &&
        meson_test build-tsan "C tests, thread sanitizer" $threaded

    CC=clang prepare build-fuzz meson-test-prereq -Ddebug=false -Dfuzz=true -Dshared_library=false &&
        meson_test build-fuzz "fuzzing the reader" --suite fuzz

    section "static checks"
    while [ ! -e "$logs/installed" ] && kill -0 "$python_tests" 2>/dev/null; do sleep 1; done
    scripts/lint.sh | tee "$logs/lint"
    count "$(grep -c '^lint: .* ok$' "$logs/lint")" "$(grep -c '^lint: .* FAILED$' "$logs/lint")"
}
[ -z "$all" ] || all_the_rest

section "waiting for the Python tests"
wait "$python_tests"
ended=$?
python_tests=
python_cpu=$part_cpu
take_cpu
part_cpu=$cpu # what they used is not that of the waiting
section "installing, and the Python tests, beside all of these"
part_cpu=$python_cpu
tail -150 "$logs/pytest"
last=$(tail -1 "$logs/pytest")
number_before() { # word, of pytest's closing line
    echo "$last" | grep -oE "[0-9]+ $1" | grep -oE '[0-9]+' || echo 0
}
python_passed=$(number_before passed)
python_failed=$(($(number_before failed) + $(number_before 'errors?')))
[ "$python_passed" -gt 0 ] && { [ "$ended" -eq 0 ] || [ "$python_failed" -gt 0 ]; } ||
    python_failed=$((python_failed + 1))
count "$python_passed" "$python_failed" "$(number_before skipped)"

python_s=$(echo "$last" | sed -n 's/.* in \([0-9]*\)\..*s.*/\1/p')
part_began=$(($(date +%s) - ${python_s:-0}))
section ""
printf '\n== where the time went\n'
cat "$logs/times"
printf '%5d s %5d s of CPU  in all; %d skipped\n\n' $(($(date +%s) - began)) "$cpu" "$skipped"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
