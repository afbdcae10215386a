# Two commands do all the set-up: `make demo` and `make test`.
# The virtual environment is this project's own; PYTHON names the interpreter it is made with.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
DEMO ?= demo
FUZZ ?= fuzz
FUZZ_MINUTES ?= 60

.PHONY: help demo demo-all test test-fast check fuzz format lock clean

help:
	@echo "make demo       set up, then one chain per domain on the sample rows (folder: $(DEMO))"
	@echo "make demo-all   the same for every task"
	@echo "make test       set up, then the tests, with their coverage"
	@echo "make test-fast  the tests that need no TensorFlow, in about a minute"
	@echo "make check      format, lint, types, tests"
	@echo "make fuzz       hostile inputs for FUZZ_MINUTES (now: $(FUZZ_MINUTES)); failures: $(FUZZ)/failures"
	@echo "make format     put the code into its format"
	@echo "make lock       try the newest versions and write constraints.txt anew"
	@echo "make clean      remove the virtual environment and what demo and fuzz wrote"

demo: $(VENV)/.installed
	$(BIN)/aitk demo --out $(DEMO) --overwrite

demo-all: $(VENV)/.installed
	$(BIN)/aitk demo --all --out $(DEMO) --overwrite

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest --cov --cov-report=

test-fast: $(VENV)/.installed-dev
	$(BIN)/python -m pytest --fast

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --cov --cov-report=

fuzz: $(FUZZ)/runs/recsys
	$(BIN)/python tests/fuzz/run.py --minutes $(FUZZ_MINUTES) --failures $(FUZZ)/failures \
	  --run nlp=$(FUZZ)/runs/nlp --run recsys=$(FUZZ)/runs/recsys

# Runs that predict without TensorFlow.
$(FUZZ)/runs/recsys: $(VENV)/.installed-dev
	$(BIN)/aitk nlp prepare sample_data/messages.csv --task classify --label-column intent --out $(FUZZ)/data/nlp --overwrite
	$(BIN)/aitk nlp finetune $(FUZZ)/data/nlp --epochs 1 --out $(FUZZ)/runs/nlp-keras --overwrite
	$(BIN)/aitk nlp compress $(FUZZ)/runs/nlp-keras --format litert --out $(FUZZ)/runs/nlp --overwrite
	$(BIN)/aitk recsys prepare sample_data/shop_events.csv --task recommend --out $(FUZZ)/data/recsys --overwrite
	$(BIN)/aitk recsys finetune $(FUZZ)/data/recsys --model popular --out $(FUZZ)/runs/recsys-keras --overwrite
	$(BIN)/aitk recsys compress $(FUZZ)/runs/recsys-keras --format litert --out $(FUZZ)/runs/recsys --overwrite

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# What was tested is what gets installed: constraints.txt holds the exact versions.
$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

lock:
	rm -rf $(VENV)-lock
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet --upgrade -e '.[dev]'
	( sed -n '/^#/p' constraints.txt; \
	  $(VENV)-lock/bin/python -m pip freeze --exclude-editable --exclude pip ) > constraints.new
	mv constraints.new constraints.txt
	rm -rf $(VENV)-lock

clean:
	rm -rf $(VENV) $(DEMO) $(FUZZ)
