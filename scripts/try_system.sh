#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# try_system.sh SUITE WHEEL [PYTHON]: tries a wheel on another distribution, as scripts/try_wheel.sh does here, in a system
# that scripts/systems.sh makes (as root). SUITE is a Debian (bookworm, trixie, sid ...) or Ubuntu (jammy, noble ...)
# release; PYTHON a package of it (default: python3). A wheel for another architecture takes that architecture's
# system, which qemu-user has to run.
set -eu
cd "$(dirname "$0")/.."
suite=$1 wheel=$(readlink -f "$2") package=${3:-python3}
case $wheel in
*_x86_64.whl) arch=amd64 ;;
*_aarch64.whl) arch=arm64 ;;
*) echo "try_system: $2 is no wheel of ours" >&2 && exit 2 ;;
esac
. scripts/systems.sh
make_system "$suite" $arch

unmount() {
    for place in proc dev/pts dev; do
        mountpoint -q "$root/$place" && umount "$root/$place" || true
    done
}
trap unmount EXIT
unmount
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mount --bind /dev/pts "$root/dev/pts"
if [ "$package" != python3 ] && [ ! -x "$root/usr/bin/$package" ]; then
    chroot "$root" apt-get install -y -qq --no-install-recommends "$package" "$package-venv" >/dev/null
fi
cp "$wheel" scripts/try_wheel.sh "$root/tmp"
chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME=/root \
    sh -c "cd /tmp && sh try_wheel.sh '$(basename "$wheel")' $package"
