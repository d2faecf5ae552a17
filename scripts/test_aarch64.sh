#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# test_aarch64.sh [NAME...]: the C tests on aarch64, all or those of these names. They are cross-compiled here against the
# libraries of a system made by debootstrap (scripts/systems.sh), and qemu-user runs them; what it cannot do
# they notice, and are skipped. As root, on Debian 12 or later, once:
#
#   apt-get install debootstrap gcc-aarch64-linux-gnu qemu-user-static pkg-config
#
# Some five minutes on two cores, and about ten more for the system, once. A test may take five times as long as
# elsewhere. DATASTALL_TEST_SYSTEM is the Debian release (bookworm).
set -eu
cd "$(dirname "$0")/.."
. scripts/systems.sh
PATH=$(pwd)/.venv/bin:$PATH
build=$(pwd)/build-aarch64
make_system "${DATASTALL_TEST_SYSTEM:-bookworm}" arm64
[ -e "$root/.libraries" ] || {
    # debootstrap leaves no folder for what is being fetched in some releases.
    mkdir -p "$root/var/cache/apt/archives/partial"
    DEBIAN_FRONTEND=noninteractive chroot "$root" sh -c 'apt-get update -qq && apt-get install -y -qq \
        --no-install-recommends libjansson-dev libncurses-dev libmicrohttpd-dev libcmocka-dev' >"$root.log" 2>&1 ||
        { tail -20 "$root.log" >&2; exit 1; }
    touch "$root/.libraries"
}

# Its libraries and nothing else of it: what a program opens is looked for here first, and must be this
# machine's /proc and /dev. By the variable, for what the tests start themselves.
mkdir -p "$build.libraries/usr"
ln -sfn "$root/usr/lib" "$build.libraries/lib"
ln -sfn "$root/usr/lib" "$build.libraries/usr/lib"
export QEMU_LD_PREFIX="$build.libraries"

cat >"$build.libraries/cross.ini" <<END
[binaries]
c = ['aarch64-linux-gnu-gcc', '--sysroot=$root']
ar = 'aarch64-linux-gnu-ar'
nm = 'aarch64-linux-gnu-nm'
strip = 'aarch64-linux-gnu-strip'
pkg-config = 'pkg-config'
exe_wrapper = 'qemu-aarch64-static'
[properties]
sys_root = '$root'
pkg_config_libdir = '$root/usr/lib/aarch64-linux-gnu/pkgconfig'
[host_machine]
system = 'linux'
cpu_family = 'aarch64'
cpu = 'aarch64'
endian = 'little'
END
[ -e "$build/build.ninja" ] || meson setup "$build" --cross-file "$build.libraries/cross.ini" -Dpython=false -Dtests=true \
    -Dbuildtype=debugoptimized >"$build.libraries/log" 2>&1 || { cat "$build.libraries/log"; exit 1; }
ninja -C "$build" all >"$build.libraries/log" 2>&1 || { tail -40 "$build.libraries/log"; exit 1; }
export DATASTALL_TEST_SECONDS="${DATASTALL_TEST_SECONDS:-5}" DATASTALL_TEST_STRIDE="${DATASTALL_TEST_STRIDE:-40}"
meson test -C "$build" --no-rebuild --print-errorlogs --timeout-multiplier 5 "$@"
