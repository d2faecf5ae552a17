#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what building and testing need and is missing: Debian packages through apt-get (as root or
# with sudo), Python packages into .venv. Does nothing when all is there.
#
#   scripts/bootstrap.sh build|demo|test|check [packages]
#
# check: what `make test ALL=1` needs beside test. packages: Debian's only, and an empty .venv.
set -eu
cd "$(dirname "$0")/.."
need=${1:-build}

# command or file that shows that a package is there : package
packages="gcc:gcc ninja:ninja-build pkg-config:pkg-config"
tests= checks=
case $need in
build) lists="build" ;;
demo) lists="build demo" ;;
test) lists="build demo test" tests=yes ;;
check) lists="build demo test check" tests=yes checks=yes ;;
*) echo "bootstrap: $need is not build, demo, test or check" >&2 && exit 2 ;;
esac
[ -z "$tests" ] || packages="$packages tmux:tmux openssl:openssl pgrep:procps chromium:chromium"
[ -z "$checks" ] || packages="$packages clang:clang cppcheck:cppcheck"
missing=""
for pair in $packages; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
# gcc only recommends the C library's headers.
[ -e /usr/include/stdio.h ] || missing="$missing libc6-dev"
command -v pkg-config >/dev/null 2>&1 && pkg-config --exists jansson || missing="$missing libjansson-dev"
pkg-config --exists libmicrohttpd 2>/dev/null || missing="$missing libmicrohttpd-dev"
pkg-config --exists ncursesw 2>/dev/null || missing="$missing libncurses-dev"
if [ -n "$tests" ]; then
    pkg-config --exists cmocka 2>/dev/null || missing="$missing libcmocka-dev"
    [ -e /usr/share/i18n/locales/de_DE ] || missing="$missing locales" # a comma locale is tried
fi
if [ -n "$checks" ]; then
    echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n){return d!=0&&n==0;}' >/tmp/.ds-fuzz-$$.c
    clang -fsanitize=fuzzer,address -o /tmp/.ds-fuzz-$$ /tmp/.ds-fuzz-$$.c >/dev/null 2>&1 ||
        missing="$missing libclang-rt-14-dev"
    rm -f /tmp/.ds-fuzz-$$.c /tmp/.ds-fuzz-$$
fi

python=${PYTHON:-python3}
command -v "$python" >/dev/null 2>&1 || missing="$missing python3"
# The extension needs Python.h, the environment needs ensurepip.
"$python" - <<'PY' 2>/dev/null || missing="$missing python3-dev python3-venv"
import ensurepip, os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")))
PY

if [ -n "$missing" ]; then
    echo "bootstrap: installing$missing"
    if [ "$(id -u)" = 0 ]; then sudo=""; else sudo="sudo"; fi
    export DEBIAN_FRONTEND=noninteractive
    $sudo apt-get update -qq
    # shellcheck disable=SC2086
    $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

[ -x .venv/bin/python ] || "$python" -m venv .venv
[ "${2:-}" != packages ] || exit 0
# Prometheus and promtool: the files of Debian's package only, since installing it starts a service.
prometheus=.venv/prometheus
if [ -n "$tests" ] && [ ! -x $prometheus/usr/bin/promtool ]; then
    echo "bootstrap: unpacking prometheus into $prometheus"
    mkdir -p $prometheus
    (
        cd $prometheus
        apt-get download -qq prometheus >/dev/null 2>&1 ||
            { apt-get update -qq && apt-get download -qq prometheus >/dev/null; }
        dpkg-deb -x prometheus_*.deb .
        rm -f prometheus_*.deb
    )
fi
for list in $lists; do
    stamp=.venv/.installed-$list
    requirements=scripts/requirements-$list.txt
    if [ ! -e "$stamp" ] || [ "$requirements" -nt "$stamp" ]; then
        echo "bootstrap: installing $requirements"
        .venv/bin/python -m pip install -q --disable-pip-version-check -r "$requirements"
        # Packages that are there for their files only.
        if [ -e "scripts/requirements-$list-nodeps.txt" ]; then
            .venv/bin/python -m pip install -q --disable-pip-version-check --no-deps \
                -r "scripts/requirements-$list-nodeps.txt"
        fi
        touch "$stamp"
    fi
done
# Beside the environment: torch imports them where it finds them, as its builds for CUDA do since 2.13, which
# the tests of that alone are to pay for (test_cuda_bindings.py).
bindings=.venv/cuda-bindings
list=scripts/requirements-cuda-bindings.txt
if [ -n "$tests" ] && { [ ! -e $bindings/.installed ] || [ $list -nt $bindings/.installed ]; }; then
    echo "bootstrap: installing $list into $bindings"
    rm -rf $bindings
    .venv/bin/python -m pip install -q --disable-pip-version-check --no-deps --target $bindings -r $list
    touch $bindings/.installed
fi
# Only for programs that the tests start: the file says what it does, and to whom.
if [ -n "$tests" ]; then
    site=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    cmp -s tests/python/lighter_torch.py "$site/lighter_torch.py" || {
        cp tests/python/lighter_torch.py "$site/lighter_torch.py"
        echo 'import os; os.environ.get("LIGHTER_TORCH") and __import__("lighter_torch")' >"$site/lighter_torch.pth"
    }
fi
