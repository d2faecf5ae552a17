#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# test_install.sh MESON BUILD PREFIX EXAMPLE.c CC: what `meson install` puts down is enough to build a
# native program: header, pkg-config file and shared library; the library shows datastall_* only and
# needs libc only.
set -eu
meson=$1 build=$2 prefix=$3 example=$4 compiler=$5
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
fail() {
    echo "$1" >&2
    exit 1
}
"$meson" install -C "$build" --no-rebuild --quiet --destdir "$place/root" > "$place/log" 2>&1 ||
    { cat "$place/log" >&2; fail "meson install failed"; }
pc=$(find "$place/root" -name datastall.pc)
library=$(find "$place/root" -name 'libdatastall.so.*.*.*')
header=$(find "$place/root" -name datastall.h)
[ -n "$pc" ] && [ -n "$library" ] && [ -n "$header" ] || fail "a file is not installed"

# Only these three, moved to a place of their own; the prefix in the .pc file becomes that place.
kit=$place/kit
mkdir -p "$kit/include" "$kit/lib/pkgconfig"
cp "$header" "$kit/include"
cp -P "$(dirname "$library")"/libdatastall.so* "$kit/lib"
sed -e "s|^prefix=.*|prefix=$kit|" -e 's|^libdir=.*|libdir=${prefix}/lib|' \
    -e 's|^includedir=.*|includedir=${prefix}/include|' "$pc" > "$kit/lib/pkgconfig/datastall.pc"
export PKG_CONFIG_PATH="$kit/lib/pkgconfig"
case $(pkg-config --cflags --libs datastall) in
*"$prefix/src"* | *"$build"*) fail "the .pc file points into the build" ;;
esac
# shellcheck disable=SC2046 # the flags are words
$compiler -Wall -Wextra -Werror -std=c11 "$example" $(pkg-config --cflags --libs datastall) \
    -o "$place/native_loop" || fail "the example does not compile against the installed files"
export DATASTALL_DIR="$place/runs" LD_LIBRARY_PATH="$kit/lib"
"$place/native_loop" "$example" > "$place/output" || fail "the example does not run"
grep -q '^run file: /' "$place/output" || fail "the example did not record"

# From C++ as well, where there is a compiler of it for the same architecture.
architecture_of() {
    "$@" -dumpmachine | sed 's/-.*//'
}
# shellcheck disable=SC2086 # the compiler may be words
if command -v c++ > /dev/null && [ "$(architecture_of c++)" = "$(architecture_of $compiler)" ]; then
    printf '#include <datastall.h>\nint main() { datastall_batch b = DATASTALL_BATCH_INIT;\n%s\n' \
        'return b.samples == DATASTALL_UNKNOWN && datastall_open(NULL, NULL) < 0 ? 0 : 1; }' \
        > "$place/a.cc"
    # shellcheck disable=SC2046
    c++ -Wall -Wextra -Werror "$place/a.cc" $(pkg-config --cflags --libs datastall) \
        -o "$place/a" || fail "the header is not C++"
    "$place/a" || fail "the C++ program fails"
fi

# An absolute symbol (A) is the name of the version, DATASTALL_0.
exported=$(nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }')
others=$(echo "$exported" | grep -v '^datastall_' || true)
[ -z "$others" ] || fail "exported beside datastall_*: $others"
declared=$(grep -o '\bdatastall_[a-z_]*(' "$header" | tr -d '(' | sort -u)
for name in $exported; do
    echo "$declared" | grep -qx "$name" || fail "$name is exported and not in the header"
done
needed=$(readelf -d "$library" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p')
for name in $needed; do
    case $name in
    libc.so.6 | libm.so.6 | libpthread.so.0 | libdl.so.2 | ld-linux*) ;;
    *) fail "the library needs $name" ;;
    esac
done
echo "header, .pc and .so are enough; the library needs:" $needed
