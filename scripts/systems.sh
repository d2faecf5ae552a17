# SPDX-License-Identifier: Apache-2.0
# To be sourced: systems of other distributions and architectures, in build-systems/.

# Makes one with debootstrap (as root; a minute, some 300 MB) unless it is there already; sets `root` to its
# folder. A suite is a Debian (bookworm, trixie, sid ...) or Ubuntu (jammy, noble ...) release. One of
# another architecture takes qemu-user.
make_system() { # suite architecture
    mirror=http://deb.debian.org/debian options=
    case $1 in
    focal | jammy | noble | questing | resolute)
        mirror=http://archive.ubuntu.com/ubuntu options=--components=main,universe
        [ "$2" = amd64 ] || mirror=http://ports.ubuntu.com/ubuntu-ports
        ;;
    esac
    root=$(pwd)/build-systems/$1-$2
    [ ! -e "$root/.made" ] || return 0
    rm -rf "$root"
    mkdir -p "$root"
    # shellcheck disable=SC2086 # the options are words
    debootstrap --variant=minbase --arch="$2" --include=python3,python3-venv,ca-certificates $options \
        "$1" "$root" "$mirror" >"$root.log" 2>&1 || { tail -20 "$root.log" >&2; exit 1; }
    touch "$root/.made"
}
