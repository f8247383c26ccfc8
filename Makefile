# `make demo` shows everything; `make check` and `make test` are what CI runs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
DEV    := $(VENV)/.installed-dev

# Where PyTorch's wheels without CUDA come from. Empty, or out of reach: pip's own index, whose wheels bring CUDA.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
REACHED      = $(BIN)/python -c "import sys, urllib.request; urllib.request.urlopen(sys.argv[1] + '/torch/', timeout=5)"

# pip does not compile here what it installs (below), so Python has to keep what it compiles: otherwise every process
# compiles PyTorch and the rest again, which takes it 8 seconds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check check-clients check-lowest gpu-check benchmark format parser clean

# What a user needs. pip says what it fetches: without that, minutes of silence. Python compiles what it imports, which
# is a small part of what lies in these packages: to compile them all takes a minute and more.
$(STAMP): pyproject.toml
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	@if test -n "$(TORCH_INDEX)" && $(REACHED) "$(TORCH_INDEX)" 2>/dev/null; then \
	  echo "Installing into $(VENV): about 2 GB. PyTorch comes without CUDA, from $(TORCH_INDEX)"; \
	  $(BIN)/pip install --no-compile --index-url "$(TORCH_INDEX)" torch torchvision; \
	else \
	  echo "Installing into $(VENV): about 7 GB, 6.7 GB of it CUDA, which comes with PyTorch unless TORCH_INDEX is reached."; \
	fi
	$(BIN)/pip install --no-compile --editable '.[cpu,train]'
	@touch $@

# And what checks and tests need, another gigabyte.
$(DEV): $(STAMP)
	$(BIN)/pip install --quiet --no-compile --editable '.[cpu,dev]'
	@touch $@

## Render a video library, index it, search it both ways, serve it. ONCE=1 stops after the searches.
demo: $(STAMP)
	$(BIN)/quartet demo $(if $(ONCE),--once)

## The whole test suite, a file at a time. One thread each: more would wait for one another. A worker more than there are
## cores, since tests wait for browsers and processes.
WORKERS ?= $(shell $(PYTHON) -c "import os; print(min(os.cpu_count() + 1, 4))")
test: $(DEV)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(WORKERS) --max-worker-restart 0 --dist loadfile

## Lint, format, types, import direction.
check: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

## The lowest version of every direct dependency, in an environment of its own, and a smoke test in it: index, search,
## train. Fetches 4 GB, so CI leaves it out. LOWEST_PYTHON: 3.11 is the lowest Python.
LOWEST        ?= .venv-lowest
LOWEST_PYTHON ?= python3.11
check-lowest:
	test -x $(LOWEST)/bin/uv || { $(LOWEST_PYTHON) -m venv $(LOWEST) && $(LOWEST)/bin/pip install --quiet uv; }
	VIRTUAL_ENV=$(LOWEST) $(LOWEST)/bin/uv pip install --resolution=lowest-direct '.[cpu,train]'
	.ci/smoke $(LOWEST)/bin/quartet

## Generate clients from docs/openapi.json (TypeScript, Python), lint it, and have each answer a search. Needs npm.
check-clients: $(DEV)
	$(BIN)/python -m tests.clients.check

## Retrain the bundled caption parser; TREEBANK is a folder with UD English EWT.
TREEBANK ?= ../shared/ud-english-ewt
parser: $(STAMP)
	$(BIN)/python training/parser/build.py $(TREEBANK)

## On a machine with a GPU: encoding and exact search there as one table, and the tests that use it. Installs nothing:
## without a virtual environment here, the table is made with the machine's own Python, PyTorch and transformers.
GPU_PYTHON ?= $(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON))
gpu-check:
	$(GPU_PYTHON) -m benchmarks.gpu.check --device cuda
	@if $(GPU_PYTHON) -c "import faiss, spacy, pytest" 2>/dev/null; \
	then $(GPU_PYTHON) -m pytest tests/indexer/search/test_exact.py tests/model/test_cuda_graphs.py -k cuda; \
	else echo "The tests that use a GPU were left out: Quartet is not installed here."; fi

## Search beside its peers (docs/performance.md). Takes an hour and 20 GB of disk at a million clips.
benchmark: $(DEV)
	$(BIN)/python -m benchmarks.search

format: $(DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf quartet-demo dist build .pytest_cache .mypy_cache .ruff_cache
