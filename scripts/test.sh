#!/bin/sh
# `make test`: static checks, C tests (plain, address+undefined, thread sanitizer), fuzzing, Python tests.
# Ends with one line "N passed, N failed" over all of them; exit 1 when anything failed.
#
# DATASTALL_TEST_SECONDS shortens the stress test, DATASTALL_TEST_STRIDE thins the byte flips,
# DATASTALL_FUZZ_SECONDS shortens the fuzzing.
set -u
cd "$(dirname "$0")/.."
PATH=$(pwd)/.venv/bin:$PATH
export PATH
logs=$(mktemp -d)
passed=0
failed=0

count() { # passed failed
    passed=$((passed + $1))
    failed=$((failed + $2))
}

section() {
    echo
    echo "== $*"
}

section "static checks"
scripts/lint.sh | tee "$logs/lint"
count "$(grep -c '^lint: .* ok$' "$logs/lint")" "$(grep -c '^lint: .* FAILED$' "$logs/lint")"

# Configures and builds a folder; a failure counts as one.
prepare() { # folder options...
    folder=$1
    shift
    [ -e "$folder/build.ninja" ] || meson setup "$folder" -Dpython=false "$@" >"$logs/setup" 2>&1 ||
        { cat "$logs/setup"; count 0 1; return 1; }
    ninja -C "$folder" >"$logs/build" 2>&1 || { tail -40 "$logs/build"; count 0 1; return 1; }
}

meson_test() { # folder arguments...
    folder=$1
    shift
    meson test -C "$folder" --no-rebuild --print-errorlogs "$@" >"$logs/meson" 2>&1
    grep -vE '^(ninja|ninja: |Full log)' "$logs/meson" | sed '/^$/d'
    ok=$(sed -n 's/^Ok: *\([0-9]*\).*/\1/p' "$logs/meson")
    fail=$(sed -n 's/^\(Fail\|Timeout\|Unexpected Pass\): *\([0-9]*\).*/\2/p' "$logs/meson" |
        awk '{ n += $1 } END { print n + 0 }')
    if [ -z "$ok" ]; then
        count 0 1
    else
        count "$ok" "$fail"
    fi
}

section "C tests"
prepare build-test -Dtests=true -Dbuildtype=debugoptimized && meson_test build-test

section "C tests, address and undefined-behaviour sanitizers"
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
prepare build-asan -Dtests=true -Dshared_library=false -Db_sanitize=address,undefined \
    -Db_lundef=false &&
    DATASTALL_TEST_SECONDS=5 DATASTALL_TEST_STRIDE=20 meson_test build-asan

section "C tests, thread sanitizer"
prepare build-tsan -Dtests=true -Dshared_library=false -Db_sanitize=thread -Db_lundef=false &&
    DATASTALL_TEST_SECONDS=5 DATASTALL_TEST_STRIDE=20 meson_test build-tsan --suite unit --suite stress

section "fuzzing the reader"
CC=clang prepare build-fuzz -Dfuzz=true -Dshared_library=false && meson_test build-fuzz --suite fuzz

section "Python tests"
python -m pytest -n 2 tests/python >"$logs/pytest" 2>&1
tail -40 "$logs/pytest"
last=$(tail -1 "$logs/pytest")
number_before() { # word
    echo "$last" | grep -oE "[0-9]+ $1" | grep -oE '[0-9]+' || echo 0
}
python_passed=$(number_before passed)
python_failed=$(($(number_before failed) + $(number_before 'errors?')))
[ "$python_passed" -gt 0 ] || python_failed=$((python_failed + 1))
count "$python_passed" "$python_failed"

rm -rf "$logs"
echo
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
