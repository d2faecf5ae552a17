#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# release.sh VERSION: all of a release but the upload. On a clean main whose CHANGELOG.md has a heading for VERSION:
# sets the version where it stands, runs the whole suite, builds and checks sdist and wheels, tries the one for this
# machine, commits and tags. Stops at the first thing that is not as it should be; undoes nothing.
set -eu
cd "$(dirname "$0")/.."
version=${1:-}
stop() {
    echo "release: $1" >&2
    exit 1
}
echo "$version" | grep -qE '^[0-9]+\.[0-9]+\.[0-9]+$' || stop "release.sh VERSION, as 0.2.0"
[ -z "$(git status --porcelain)" ] || stop "there are changes that are not committed"
[ -z "$(git tag -l "v$version")" ] || stop "there is a tag v$version already"
grep -q "^## $version\b" CHANGELOG.md || stop "CHANGELOG.md has no heading '## $version'"
! grep -q "^## $version.*not released" CHANGELOG.md || stop "CHANGELOG.md says that $version is not released"

major=${version%%.*} rest=${version#*.}
minor=${rest%%.*} patch=${rest#*.}
sed -i "s/^version = \".*\"/version = \"$version\"/" pyproject.toml
sed -i "0,/version: '[0-9.]*'/s//version: '$version'/" meson.build
sed -i "s/^\( *\)version: '[0-9.]*',\$/\1version: '$version',/" src/meson.build
sed -i -e "s/^#define DATASTALL_VERSION_MAJOR .*/#define DATASTALL_VERSION_MAJOR $major/" \
    -e "s/^#define DATASTALL_VERSION_MINOR .*/#define DATASTALL_VERSION_MINOR $minor/" \
    -e "s/^#define DATASTALL_VERSION_PATCH .*/#define DATASTALL_VERSION_PATCH $patch/" \
    -e "s/^#define DATASTALL_VERSION \".*/#define DATASTALL_VERSION \"$version\"/" include/datastall.h
git diff --quiet || git commit -qam "Release $version"

make test
scripts/wheels.sh # of what is committed
scripts/try_wheel.sh "dist/datastall-$version"-*_"$(uname -m)".whl
[ "$(.venv/bin/datastall --version | cut -d' ' -f2)" = "$version" ] || stop "the program says another version"
git tag -a "v$version" -m "datastall $version"
echo "release: v$version is tagged and in dist/. What is left:"
echo "    git push --follow-tags"
echo "    build-wheels/tools/bin/twine upload dist/*"
