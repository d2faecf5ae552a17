#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Formatting and static checks. Prints "lint: NAME ok|FAILED" per check; exit 1 when one failed.
set -u
cd "$(dirname "$0")/.."
bin=.venv/bin
failed=0

check() {
    name=$1
    shift
    if output=$("$@" 2>&1); then
        echo "lint: $name ok"
    else
        echo "lint: $name FAILED"
        echo "$output"
        failed=1
    fi
}

# Prints the source files that do not.
all_say_their_licence() {
    ! git ls-files -z '*.c' '*.h' '*.py' '*.pyi' '*.sh' |
        xargs -0 grep -L 'SPDX-License-Identifier: Apache-2.0' | grep .
}

# Prints the places where a merge was left half done.
no_merge_is_half_done() {
    ! git grep -nE '^(<<<<<<<|>>>>>>>) '
}

c_files=$(git ls-files '*.c' '*.h')
check clang-format $bin/clang-format --dry-run -Werror $c_files
check ruff-format $bin/ruff format --check .
check ruff $bin/ruff check .
check mypy $bin/python -m mypy
check cppcheck cppcheck --quiet --std=c11 --error-exitcode=1 --inline-suppr \
    --enable=warning,performance,portability --suppress=missingInclude \
    --suppress=normalCheckLevelMaxBranches --suppress=unknownMacro \
    -D_GNU_SOURCE -I include -I src $(git ls-files 'src/*.c')
check uplot $bin/python scripts/uplot.py --check
check iframe-worker env -C third_party/iframe-worker sha256sum --check --quiet SHA256SUMS
check arrows $bin/python scripts/check_arrows.py
check merges no_merge_is_half_done
check licence all_say_their_licence
check counters $bin/python scripts/counters_table.py --check
check mutant-rows $bin/python scripts/mutate.py --check
check card-width $bin/python scripts/card_width.py
check links $bin/python scripts/check_links.py
check workflows $bin/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
# It is in no package index that everybody reaches: whoever has it gets its closer look.
if command -v actionlint >/dev/null; then check actionlint actionlint; fi
exit $failed
