# make demo   compile the embedded network for this machine and for a 64-bit ARM board, verify both, show the reports
# make lab    compile it for two ARM boards, emulate both, run it on them through a tracker
# make test   lint, types and tests
# make fuzz   a minute of what nobody should send to the lab, and mutants of deployed models under gcc's sanitizers;
#             FUZZ="all --seconds 600 --sanitize" and MUTANTS=20000 for more
# make docs   the pages of docs/ as a site, in site/

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= build
FUZZ ?= all --seconds 60
MUTANTS ?= 600

.PHONY: demo lab test fuzz lint docs emulator clean

demo: $(VENV)/run emulator
	$(BIN)/python -m tvm_bnn.compile --target native -o $(OUT)/digits.native.so
	$(BIN)/python -m tvm_bnn.compile --target arm -o $(OUT)/digits.arm.so

lab: $(VENV)/run emulator
	$(BIN)/python -m tvm_bnn.lab

test: lint emulator
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 $(PYTEST)

fuzz: $(VENV)/dev
	$(BIN)/python -m tests.rpc.fuzzing $(FUZZ)
	MUTANTS=$(MUTANTS) $(BIN)/python -m pytest -q tests/tvm_bnn/deployment/test_sanitizers.py

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/dev
	$(BIN)/python -m mkdocs build --strict

# The emulator executes what is compiled for ARM; without it everything works but that.
emulator:
	@.ci/emulator

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; try make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/run: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[torch,rpc]'
	@touch $@

$(VENV)/dev: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[torch,onnx,tune,rpc,experiments,cluster,report,docs,dev]'
	@touch $@ $(VENV)/run

clean:
	rm -rf $(VENV) $(OUT) site
