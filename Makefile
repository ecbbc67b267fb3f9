# Needs Python 3.11 or 3.12, make and a package registry. Everything else is set up here.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup run up test test-all lint bench soak clean

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' || \
	  { echo "lora_assets needs Python 3.11 or 3.12: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9,<1'
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --no-cache --compile-bytecode -r requirements.lock
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --no-cache --no-deps -e .
	touch $@

# The main job: draw the sample film, bring its tracker DEMO-1 up to date, print the table and the addresses.
run: $(READY)
	$(BIN)/lora-assets demo

# Dagster UI and tracker pages, sensors and schedules running, until Ctrl-C.
up: $(READY)
	$(BIN)/lora-assets up

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright --level error
	$(BIN)/lint-imports

test: lint
	# One thread per operation: two workers with threads of their own take each other's cores. Bytecode is kept whatever
	# the machine's settings say: else each worker and each program that a test starts compiles everything anew.
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal -m 'not slow'

# With the slow ones, and with examples that no run had before.
test-all: lint
	$(BIN)/pytest --hypothesis-profile=search

# Every kit of docs/RELIABILITY.md: about an hour and a half on two cores, or a few minutes with LEVEL=quick.
# ONLY="G8 G11" runs some of them; DOCS=yes writes the table into docs/RELIABILITY.md.
LEVEL ?= full
soak: $(READY)
	$(BIN)/python -m lora_assets_tests.reliability.soak --level $(LEVEL) $(if $(ONLY),--only $(ONLY)) $(if $(DOCS),--docs)

bench: $(READY)
	$(BIN)/lora-assets bench

# Removes the environment and caches; nothing of data/.
clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis build *.egg-info
