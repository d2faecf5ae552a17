# The front door. `make demo` and `make test` install what is missing (scripts/bootstrap.sh).
PYTHON ?= python3
export PYTHON
bin = .venv/bin

.PHONY: build demo test bench lint format docs wheels clean

build: .venv/.built

# The wheel's build: program and package in .venv.
.venv/.built: $(shell find src include python web third_party docs meson.build meson.options pyproject.toml -type f ! -name '*.pyc' 2>/dev/null)
	scripts/bootstrap.sh build
	PATH="$(CURDIR)/$(bin):$$PATH" $(bin)/python -m pip install -q --disable-pip-version-check \
	    --no-build-isolation --no-deps --force-reinstall .
	@touch $@

demo: build
	scripts/bootstrap.sh demo
	scripts/demo.sh

# Each test once. ALL=1, as .ci/run says: also static checks, the C tests under sanitizers, and fuzzing.
test: build
	scripts/test.sh $(if $(ALL),all)

bench: build
	scripts/bootstrap.sh test
	scripts/bench.sh

lint:
	scripts/bootstrap.sh check
	scripts/lint.sh

format:
	scripts/bootstrap.sh check
	$(bin)/clang-format -i $$(git ls-files '*.c' '*.h')
	$(bin)/ruff format .

# The documentation as a site: build-docs/site/index.html.
docs: build
	scripts/docs.sh

# What goes to PyPI, checked; uploads nothing (docs/packaging.md).
wheels:
	scripts/wheels.sh

clean:
	rm -rf build build-* .venv
