#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The header, the symbol map and the library name the same functions; the header compiles, without a
# warning, as old and new C and as C++; and no function is left out of test_null.c.
# test_symbols.sh SOURCE_ROOT LIBRARY CC
set -eu
root=$1
library=$2
shift 2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# A declaration begins with DATASTALL_API and ends at its semicolon.
awk '/^DATASTALL_API/ { on = 1 } on { print } on && /;/ { on = 0 }' "$root/include/datastall.h" |
    grep -oE 'datastall_[a-z0-9_]+\(' | tr -d '(' | sort >"$folder/header"
sed -n 's/^ *\(datastall_[a-z0-9_]*\);$/\1/p' "$root/src/datastall.map" | sort >"$folder/map"
nm -D --defined-only "$library" | awk '$2 != "A" { print $3 }' | sed 's/@.*//' |
    sort >"$folder/library"
test "$(wc -l <"$folder/header")" -gt 30
diff "$folder/header" "$folder/map"
diff "$folder/header" "$folder/library"
while read -r name; do
    grep -q "$name(" "$root/tests/c/test_null.c" || { echo "test_null.c does not call $name"; exit 1; }
done <"$folder/header"

structs=$(grep -oE '^} datastall_[a-z_]+;' "$root/include/datastall.h" | tr -d '}; ')
for struct in $structs; do
    macro=$(echo "${struct}_INIT" | tr '[:lower:]' '[:upper:]')
    grep -q "^#define $macro\b" "$root/include/datastall.h" || { echo "no $macro"; exit 1; }
    grep -q "$macro" "$root/tests/c/test_header.c" || { echo "$macro is not tried"; exit 1; }
done

strict='-Wall -Wextra -pedantic -Werror -Wshadow -Wconversion'
for standard in c99 c11 gnu17; do
    "$@" -std=$standard $strict -I"$root/include" "$root/tests/c/test_header.c" -o "$folder/check"
    "$folder/check"
done
if command -v c++ >/dev/null; then
    for standard in c++11 c++17 c++20; do
        c++ -x c++ -std=$standard $strict -I"$root/include" "$root/tests/c/test_header.c" \
            -o "$folder/check"
        "$folder/check"
    done
else
    echo "no C++ compiler: not tried as C++"
fi
