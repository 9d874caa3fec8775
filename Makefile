# make demo    the whole method on 8 x 8 digits, on a CPU; everything it makes lies in runs/demo
# make test    the tests that take seconds; PYTEST_ARGS="-k NAME" hands arguments to pytest
# make torture  runs killed, stopped and out of room at random moments, and what was lost: a table,
#              after some SECONDS=600, drawn by SEED=0
# make docs    the documentation, into build/site; a warning is an error
# make results-quick    the comparison of RESULTS.md on digits, anew: some two hours on two cores
# make results          the tables of RESULTS.md, from the files in results/
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: demo docs results-quick results test torture lint format clean

demo: $(VENV)/.installed
	$(BIN)/rnascl run demo

results-quick: $(VENV)/.installed
	$(BIN)/rnascl compare digits --seeds 0,1 --auto-attack 50

results: $(VENV)/.installed
	$(BIN)/python -m benchmarks.results

docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m "not slow" --numprocesses auto --maxprocesses 2 --dist loadfile $(PYTEST_ARGS)

torture: SECONDS ?= 600
torture: SEED ?= 0
torture: $(VENV)/.installed-test
	$(BIN)/python -m tests.torture --seconds $(SECONDS) --seed $(SEED)

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	mkdir -p build/types/rnascl_keras
	touch build/types/rnascl_keras/__init__.py
	ln -sfn ../../../export ../../../recipes build/types/rnascl_keras
	$(BIN)/basedpyright

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .coverage*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: pyproject.toml requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
		{ echo "Python 3.11, 3.12 or 3.13 is needed, '$(PYTHON)' is $$($(PYTHON) --version 2>&1);" \
		"name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@
