# make demo   the main job on a small made world, no network: about three minutes after installation
# make test   lint, types, tests but for the slow ones
# make test-long   the slow tests, and the networks' tests on a capped processor
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
BENCH ?= tests/bench
STAMP := $(VENV)/.installed
# Servers and clusters are started once per process: more of them than four only compete.
# One thread per process: the processes fill the cores, and threads that wait for a core spin (a third of the CPU time of networks).
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

.PHONY: help install demo test test-long test-capped rehearsals docs lint types unit format bench faults-long clean

help:
	@sed -n 's/^# make/make/p' Makefile

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Orograph needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: install
	$(BIN)/orograph demo

test: lint types unit

test-long: install test-capped
	$(PYTEST) -m "slow and not rehearsal" --timeout 1800

# make rehearsals   the accelerator script in small, a cluster that grows from nothing, the real demo, QGIS: ten minutes
rehearsals: install
	$(BIN)/python -m pytest -m rehearsal --timeout 1800

# make test-capped   the networks' tests on a processor without AVX-512: torch and oneDNN capped to AVX2
CAPS := ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2
NETWORK_TESTS := $(addprefix tests/unit/pipeline/,core/test_precision.py superres bare_earth implicit) \
	$(addprefix tests/unit/pipeline/learning/,superres bare_earth image_heights) \
	tests/integration/test_run_superres.py
test-capped: install
	$(CAPS) $(PYTEST) -m "not slow" $(NETWORK_TESTS)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

unit: install
	$(PYTEST) -m "not slow and not rehearsal"

# make docs   the documentation as a site, in build/site
docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# make faults-long   ten thousand injected faults and two hundred kills: twenty minutes
faults-long: install
	OROGRAPH_FAULTS=long $(BIN)/python -m pytest tests/faults --timeout 7200

bench: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps stackstac==0.5.1
	$(BIN)/python -m pytest $(BENCH) -m bench -s --timeout 3600
	$(BIN)/python -m tests.bench.render

clean:
	rm -rf $(VENV) demo-output .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
