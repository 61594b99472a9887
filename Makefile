# Every target sets up what it needs. PYTHON=/path/to/python3.12 chooses the interpreter; ARGS="-k spool" narrows
# pytest, and says more to `bench`.

VENV ?= .venv
PYTHON ?=
ARGS ?=
REQUESTS ?= 200000
KILLS ?= 100
SEED ?= 1
MINUTES ?= 10
BIN = $(VENV)/bin

.DELETE_ON_ERROR:
.PHONY: help venv test demo serve bench bench-base docs fuzz faults soak sweep clean

help:
	@echo 'make demo    the example site behind a simulated gateway: traffic, then the statistics'
	@echo 'make serve   the same site, kept running for your browser'
	@echo 'make test    every check, on every Python 3.11 to 3.14 of this machine'
	@echo 'make fuzz    200,000 random requests through both edges (REQUESTS=, SEED=)'
	@echo 'make faults  100 kills and long disasters of the files, under load (KILLS=, SEED=)'
	@echo 'make soak    10 minutes of load with restarts on real servers, told in docs/soak.md (MINUTES=)'
	@echo 'make sweep   the quiet hours at every minute of ten years'
	@echo 'make docs    the documentation as a site, in build/docs'
	@echo 'make bench   what things cost, as ratios against the peers (ARGS="--parts codec", ARGS=--write)'
	@echo 'make bench-base  the same on ten million page views, made once and kept in build/bench-base'
	@echo 'make venv    set up $(VENV) only'
	@echo 'make clean   remove the environments and what the tools left behind'
	@echo
	@echo 'Needs Python 3.11 or newer with venv. PYTHON=/path/to/python3 chooses which.'

venv: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml .ci/venv .ci/pythons
	@.ci/venv '$(VENV)' '$(PYTHON)'

# The quick gates first, then the tests on all Pythons.
test: venv
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	@.ci/test '$(BIN)/python' $(ARGS)

demo: venv
	@$(BIN)/python -m examples.demo

serve: venv
	@$(BIN)/python -m examples.demo --serve

bench: venv
	@$(BIN)/python -m benchmarks $(ARGS)

bench-base: venv
	@$(BIN)/python -m benchmarks --large $(ARGS)

docs: venv
	@$(BIN)/python -m properdocs build --strict --quiet
	@echo 'Open build/docs/index.html'

fuzz: venv
	@$(BIN)/python -m tests.fuzz --requests $(REQUESTS) --seed $(SEED)

faults: venv
	@$(BIN)/python -m tests.faults --kills $(KILLS) --seed $(SEED)

soak: venv
	@$(BIN)/python -m tests.soak --minutes $(MINUTES) --page docs/soak.md

sweep: venv
	@ALIAS_FULL_SWEEP=1 $(BIN)/python -m pytest -q tests/contact/test_quiet_hours.py -k sweep

clean:
	rm -rf build .venv .venv-3.* .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
