# Everything runs in a virtual environment of its own, made on first use; nothing is asked.
#
#   make PYTHON=python3.12 test    another Python
#   make LATEST=1 test             the newest dependencies instead of constraints.txt
#   make test ARGS='-k policy'     more arguments for pytest
#   make bench ARGS=--json         and for the benchmarks

PYTHON ?= python3
WORKERS ?= 2
VENV := .venv$(if $(LATEST),-latest)
PY := $(VENV)/bin/python
SITE = $(PY) -m sphinx -c docs -W --keep-going -q -j $(WORKERS) . docs/_build/html
STAMP := $(VENV)/.installed

export MPLBACKEND := Agg
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DELETE_ON_ERROR:
.PHONY: help install demo test lint notebooks soak mutants bench docs site clean

help:
	@echo 'make demo        compare retry policies through a ten-minute outage; writes reports/'
	@echo 'make test        all tests'
	@echo 'make lint        ruff, mypy and the import contract'
	@echo 'make notebooks   execute the notebooks and check their claims'
	@echo 'make soak        the long campaigns, with fresh random seeds'
	@echo 'make mutants     plant bugs, and show which instrument finds which, and how soon'
	@echo 'make bench       the benchmarks'
	@echo 'make docs        regenerate what the documentation takes from the code, and build the site'
	@echo 'make site        build the site: docs/_build/html'
	@echo 'make clean       remove all that make made'

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "jobsim needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>/dev/null || echo not there)."; \
	  echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; } >&2
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) >/dev/null || { \
	  rm -rf $(VENV); \
	  echo "$(PYTHON) cannot make a virtual environment: it lacks venv or ensurepip."; \
	  echo "On Debian and Ubuntu: sudo apt install python3-venv"; exit 1; } >&2
	@echo 'Installing into $(VENV) (once; about a minute) ...'
	@$(PY) -m pip install --quiet --editable '.[dev]' $(if $(LATEST),--upgrade --upgrade-strategy eager,--constraint constraints.txt)
	@touch $@

demo: $(STAMP)
	@$(PY) -m jobsim compare scenarios/payment-api-outage.toml --replications 10 --out reports/payment-api-outage

test: $(STAMP)
	$(PY) -m pytest -n $(WORKERS) --dist loadgroup $(ARGS)

lint: $(STAMP)
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	$(PY) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'

notebooks: $(STAMP)
	$(if $(wildcard notebooks/*.ipynb),$(PY) -m pytest --nbmake $(ARGS) notebooks,@echo 'There are no notebooks.')

soak: $(STAMP)
	$(PY) -m pytest -n $(WORKERS) --dist loadgroup -m 'soak or fuzz' --hypothesis-profile soak --timeout 0 $(ARGS)

mutants: $(STAMP)
	$(PY) -m pytest -n $(WORKERS) -q -m soak -k two_instruments --timeout 0 $(ARGS) tests/properties

bench: $(STAMP)
	@set -e; for script in $(wildcard benchmarks/*.py); do echo "$$script"; $(PY) "$$script" $(ARGS); done

docs: $(STAMP)
	$(PY) docs/state_diagram.py
	$(PY) docs/state_table.py
	$(PY) docs/policy_tables.py
	$(PY) docs/model_tables.py
	$(PY) docs/measure_table.py
	$(PY) docs/reliability_table.py $(wildcard reports/reliability.jsonl)
	$(PY) docs/scenario_schema.py
	$(PY) docs/pictures.py
	$(SITE)

site: $(STAMP)
	$(SITE)

clean:
	rm -rf .venv .venv-latest build dist docs/_build reports *.egg-info .hypothesis .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
