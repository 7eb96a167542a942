# Every target sets up what it needs: on a fresh machine, `make test` or `make demo` alone is enough.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast lint format types docs schema bench clean distclean

help: ## list the targets
	@grep -hE '^[.a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-10s  %s\n", $$1, $$2}'

.venv: $(READY) ## create the virtual environment with the tested versions

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "chipflow needs Python 3.11 or later, but '$(PYTHON)' is: $$($(PYTHON) --version 2>&1)." \
		"Name another one: make PYTHON=python3.11 ..." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,demo]'
	@touch $@

demo: $(READY) ## the main job: train, convert, place, emulate, and print what came out
	$(BIN)/chipflow demo

test: $(READY) ## all tests, the slow ones too
	$(BIN)/python -m pytest -n auto

test-fast: $(READY) ## the tests that take no more than a few seconds
	$(BIN)/python -m pytest -n auto -m "not slow"

lint: $(READY) ## style and format, changing nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY) ## put style and format right where that is safe
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(READY) ## static types
	$(BIN)/pyright

docs: $(READY) ## build the documentation, warnings are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

schema: $(READY) ## write the JSON Schema of configuration files into docs/schema
	$(BIN)/python -c 'import json, hwconfig; from hwconfig.files import SCHEMA_VERSION as version; \
		open(f"docs/schema/hwconfig-{version}.json", "w").write(json.dumps(hwconfig.json_schema(), indent=1) + "\n")'

bench: $(READY) ## benchmarks, those of the emulator beside sinabs
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[bench]'
	@for name in hwconfig_speed startup compile_time allocation_speed emulator_speed emulator_growth emulator_memory batch nmnist_vs_sinabs mnist_vs_sinabs snn_speed; do echo "== $$name"; $(BIN)/python -m benchmarks.$$name || exit $$?; done

clean: ## remove what tools left behind (the virtual environment stays)
	rm -rf build dist site demo-output .pytest_cache .ruff_cache .hypothesis
	find chipflow hwconfig tests examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## remove the virtual environment as well
	rm -rf .venv
