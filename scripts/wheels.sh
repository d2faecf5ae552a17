#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds what goes to PyPI into dist/: the sdist, and a wheel for each architecture that runs on every
# distribution with glibc 2.17 (2014) or later and every CPython from 3.10 on, and checks all of them.
# The compiler is PyPI's ziglang, which carries old glibcs for both architectures; jansson and ncurses
# are built from their sources and linked statically.
#
#   scripts/wheels.sh [x86_64|aarch64]...        default: both
#
# For the other architecture qemu-user runs what is built (Debian: qemu-user-static libc6-arm64-cross), since the
# man page and the completions are printed by the program itself.
set -eu
cd "$(dirname "$0")/.."
root=$(pwd)
work=$root/build-wheels
glibc=2.17
debian=http://deb.debian.org/debian/pool/main
machine=$(uname -m)
mkdir -p "$work" dist

[ -x "$work/tools/bin/zig" ] || {
    python3 -m venv "$work/tools"
    "$work/tools/bin/pip" install -q --disable-pip-version-check \
        -r scripts/requirements-build.txt -r scripts/requirements-wheels.txt
    printf '#!/bin/sh\nexec "%s" -m ziglang "$@"\n' "$work/tools/bin/python" >"$work/tools/bin/zig"
    chmod +x "$work/tools/bin/zig"
}
PATH=$work/tools/bin:$PATH
export PATH

# A source as its own people packed it, by the checksum that was looked at.
fetch() { # path file sha256
    [ -e "$work/$2" ] || curl -sSfo "$work/$2" "$debian/$1/$2"
    echo "$3  $work/$2" | sha256sum -c --quiet
}
fetch j/jansson jansson_2.14.orig.tar.gz c739578bf6b764aa0752db9a2fdadcfe921c78f1228c7ec0bb47fa804c55d17b
fetch n/ncurses ncurses_6.4.orig.tar.gz 6931283d9ac87c5073f30b6290c4c75f21632bb4fc3603ac8100812bed248159
# Its header only: serve looks for the library when it starts.
fetch libm/libmicrohttpd libmicrohttpd_0.9.75.orig.tar.xz 796e7e217a4802679fcac667a4e98501c53185dcf50ca0583870e84192620131

unpack() { # file, into the current folder
    tar xf "$work/$1"
}

# The compiler for an architecture, and the binary tools that are called by name.
make_compiler() { # arch
    tools=$work/$1/bin
    mkdir -p "$tools"
    printf '#!/bin/sh\nexec zig cc -target %s-linux-gnu.%s "$@"\n' "$1" "$glibc" >"$tools/cc"
    for tool in ar ranlib; do
        printf '#!/bin/sh\nexec zig %s "$@"\n' "$tool" >"$tools/$tool"
    done
    chmod +x "$tools"/*
}

make_jansson() { # arch
    unpack jansson_2.14.orig.tar.gz
    cmake -S jansson-2.14 -B jansson -DCMAKE_INSTALL_PREFIX="$work/$1/usr" -DCMAKE_INSTALL_LIBDIR=lib \
        -DCMAKE_BUILD_TYPE=Release -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DCMAKE_SYSTEM_NAME=Linux \
        -DCMAKE_SYSTEM_PROCESSOR="$1" -DCMAKE_C_COMPILER="$work/$1/bin/cc" -DCMAKE_AR="$work/$1/bin/ar" \
        -DCMAKE_RANLIB="$work/$1/bin/ranlib" -DJANSSON_BUILD_DOCS=OFF -DJANSSON_WITHOUT_TESTS=ON \
        -DJANSSON_EXAMPLES=OFF -DCMAKE_POLICY_VERSION_MINIMUM=3.5
    cmake --build jansson
    cmake --install jansson
}

# With descriptions of the usual terminals inside: where a distribution keeps its own differs.
make_ncurses() { # arch
    unpack ncurses_6.4.orig.tar.gz
    (
        cd ncurses-6.4
        ./configure --host="$1-linux-gnu" --build="$machine-pc-linux-gnu" --prefix="$work/$1/usr" \
            CC="$work/$1/bin/cc" AR="$work/$1/bin/ar" RANLIB="$work/$1/bin/ranlib" CFLAGS='-O2 -fPIC' \
            --with-build-cc=cc --enable-widec --without-shared --without-debug --without-ada --without-cxx \
            --without-cxx-binding --without-progs --without-tests --without-manpages --disable-stripping \
            --with-terminfo-dirs=/etc/terminfo:/lib/terminfo:/usr/share/terminfo:/usr/lib/terminfo \
            --with-default-terminfo-dir=/usr/share/terminfo --enable-pc-files=no \
            --with-fallbacks=xterm,xterm-256color,linux,screen,screen-256color,tmux,tmux-256color,vt100
        make -j2 libs
        make install.libs install.includes
    )
}

# What meson asks pkg-config for.
describe() { # arch name version flags
    cat >"$work/$1/usr/lib/pkgconfig/$2.pc" <<EOF
prefix=$work/$1/usr
Name: $2
Description: $2
Version: $3
Libs: -L\${prefix}/lib $4
Cflags: -I\${prefix}/include -I\${prefix}/include/ncursesw
EOF
}

make_libraries() { # arch
    [ ! -e "$work/$1/libraries" ] || return 0
    rm -rf "$work/$1/usr" "$work/$1/sources"
    mkdir -p "$work/$1/sources" "$work/$1/usr/include" "$work/$1/usr/lib/pkgconfig"
    (
        cd "$work/$1/sources"
        make_jansson "$1"
        make_ncurses "$1"
        unpack libmicrohttpd_0.9.75.orig.tar.xz
        cp libmicrohttpd-0.9.75/src/include/microhttpd.h "$work/$1/usr/include"
    ) >"$work/$1/log" 2>&1 || { tail -30 "$work/$1/log"; exit 1; }
    describe "$1" jansson 2.14 -ljansson
    describe "$1" ncursesw 6.4 -lncursesw
    describe "$1" libmicrohttpd 0.9.75 -lmicrohttpd
    touch "$work/$1/libraries"
}

cross_file() { # arch
    cat <<EOF
[binaries]
c = '$work/$1/bin/cc'
ar = '$work/$1/bin/ar'
pkg-config = 'pkg-config'
exe_wrapper = ['qemu-$1-static', '-L', '/usr/$1-linux-gnu']
[host_machine]
system = 'linux'
cpu_family = '$1'
cpu = '$1'
endian = 'little'
EOF
}

make_wheel() { # arch
    arch=$1
    made=$work/$arch/made
    rm -rf "$made"
    set --
    if [ "$arch" = "$machine" ]; then
        export CC="$work/$arch/bin/cc" AR="$work/$arch/bin/ar"
    else
        unset CC AR
        cross_file "$arch" >"$work/$arch/cross.ini"
        export _PYTHON_HOST_PLATFORM="linux-$arch"
        set -- "-Csetup-args=--cross-file=$work/$arch/cross.ini"
    fi
    # The sdist, not this folder: nothing that it lacks can be in the wheel.
    PKG_CONFIG_LIBDIR="$work/$arch/usr/lib/pkgconfig" PKG_CONFIG_PATH='' \
        python -m pip wheel -q --disable-pip-version-check --no-build-isolation --no-deps -w "$made" "$@" \
        "$(ls dist/datastall-*.tar.gz)"
    # The interpreter that builds is newer than the one whose interface is kept to.
    python -m wheel tags --remove --python-tag cp310 --abi-tag abi3 \
        --platform-tag "manylinux_2_17_$arch.manylinux2014_$arch" "$made"/*.whl >/dev/null
    mv "$made"/*.whl dist/
}

check() { # wheel arch
    auditwheel show "$1" >"$work/audit"
    grep -q "manylinux_2_17_$2" "$work/audit" || { cat "$work/audit"; echo "$1: needs more than glibc 2.17"; exit 1; }
    abi3audit --strict "$1" >"$work/audit" 2>&1 || { cat "$work/audit"; exit 1; }
    python -m zipfile -l "$1" >"$work/held"
    for held in licenses/LICENSE licenses/licenses/jansson.txt licenses/licenses/ncurses.txt share/man/man1/datastall.1 \
        completions/datastall.bash site-functions/_datastall vendor_completions.d/datastall.fish scripts/datastall; do
        grep -q "$held" "$work/held" || { echo "$1: lacks $held"; exit 1; }
    done
}

rm -f dist/datastall-*
python -m build -q --sdist --no-isolation --outdir dist .
[ $# -gt 0 ] || set -- x86_64 aarch64
for arch in "$@"; do
    make_compiler "$arch"
    make_libraries "$arch"
    (make_wheel "$arch")
    check dist/datastall-*_"$arch".whl "$arch"
done
twine check --strict dist/*
ls -l dist
