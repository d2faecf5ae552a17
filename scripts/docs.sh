#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `make docs`: the documentation as a site in build-docs/site, to be read from there or from any server; nothing
# of it is loaded from a network. The tools are in an environment of their own, build-docs/env.
set -eu
cd "$(dirname "$0")/.."
env=build-docs/env
requirements=scripts/requirements-docs.txt
if [ ! -e $env/.installed ] || [ $requirements -nt $env/.installed ]; then
    "${PYTHON:-python3}" -m venv $env
    $env/bin/python -m pip install -q --disable-pip-version-check -r $requirements
    touch $env/.installed
fi
$env/bin/python scripts/site_pages.py build-docs/pages .venv/bin/datastall
# The package that `make build` installed: some of its methods are C, and only tell of themselves when asked.
PYTHONPATH=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("platlib"))') NO_MKDOCS_2_WARNING=1 \
    $env/bin/python -m mkdocs build --strict -q
.venv/bin/python scripts/check_links.py build-docs/site
echo "docs: $(find build-docs/site -name '*.html' | wc -l) pages; open build-docs/site/index.html"
