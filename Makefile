# make book   creates the environment, executes every chapter, leaves the rendered book in _build/html
# make test   creates the same environment and checks everything
# The rest: make help

# A python on the path that runs; bootstrap.py looks further if it is not 3.11 or 3.12.
PYTHON ?= $(firstword $(shell for p in python3.12 python3.11 python3 python; do $$p -c "" 2>/dev/null && echo $$p; done))
VENV ?= .venv
READY := $(VENV)/.ready
RUN := $(VENV)/bin/python
# Two test workers that share the executions of chapters (tests/workers.py); WORKERS= for one
WORKERS ?= -n 2 -p tests.workers --no-loadscope-reorder
# Tests of chapters of a line or two, which read no data: once is enough. So it is for nbval (below, by its marker).
ANY_DATA := --ignore tests/chapters/test_strict_build.py --ignore tests/chapters/test_execution.py --ignore tests/chapters/test_interactive.py

.PHONY: help book pdf test notebooks lab lint bench mutate gpu lock clean

book: $(READY)
	@$(RUN) book/build.py html

# The built pages as one PDF, printed by a headless Chromium (apt install chromium, or CHROMIUM=PROGRAM).
pdf: book
	@$(RUN) book/pdf.py

test: $(READY) lint
	@$(RUN) -m pytest $(WORKERS)
	@echo "Once more without the challenge data: every chapter on synthetic images"
	@UNET_PAPER_DATA=tests/no_data $(RUN) -m pytest $(WORKERS) tests/chapters -m "not whole_book and not nbval" $(ANY_DATA)

notebooks: $(READY)  ## execute the chapters and write the notebooks beside them
	@$(RUN) book/build.py notebooks

# JupyterLab comes into the environment with the first call; its kernel is the environment's own.
lab: $(VENV)/.lab
	@$(RUN) -m jupyterlab book/intro.ipynb

$(VENV)/.lab: $(READY)
	@$(RUN) -m pip install --quiet --disable-pip-version-check --editable ".[lab]"
	@touch $(VENV)/.lab

lint: $(READY)
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .

bench: $(READY)
	@$(RUN) -m benchmarks

# Mistakes made on purpose, each in a scratch copy: does its check notice? The outcome stands in the appendix.
mutate: $(READY)
	@$(RUN) -m tests.mutations --output data/results/mutations.json

# On a machine with a CUDA GPU and a CUDA build of PyTorch (README); choose runs with GPU_RUNS="em-full ...".
# An interrupted run goes on where it was. What it writes lies in runs/, beside the records of the book.
GPU_RUNS ?= gpu

gpu: $(READY)
	@mkdir -p runs
	@$(RUN) -m benchmarks.gpu --output runs/gpu_benchmark.json
	@$(RUN) -m unet_paper reproduce $(GPU_RUNS) --device cuda --output runs

# Versions and hashes of all that the book needs, for every system; versions that fit the pins stay as they are.
# PyTorch and the CUDA libraries of its build are left out: torch.txt says why.
lock: $(READY)
	@$(VENV)/bin/uv pip compile pyproject.toml --extra book --extra test --constraint torch.txt --universal \
	    --python-version 3.11 --generate-hashes --no-header --no-annotate --output-file requirements.lock --quiet
	@awk '/^[a-z]/ {keep = !/^(torch|triton|nvidia-|cuda-)/} keep' requirements.lock > requirements.part
	@mv requirements.part requirements.lock

clean:
	@rm -rf _build

$(READY): pyproject.toml setup.py requirements.lock torch.txt bootstrap.py
	@test -n "$(PYTHON)" || { echo "error: no Python found; install Python 3.11 or 3.12" >&2; exit 1; }
	@VENV=$(VENV) $(PYTHON) bootstrap.py
	@touch $(READY)

help:
	@echo "make book       environment, all new or changed chapters executed, pages in _build/html"
	@echo "make pdf        the whole book as _build/book.pdf (needs a Chromium)"
	@echo "make test       environment, every check (lint, unit tests, chapters, notebooks, strict build)"
	@echo "make notebooks  book/*.ipynb written anew from an execution"
	@echo "make lab        JupyterLab, its kernel and the chapters"
	@echo "make bench      the benchmark table (to record it: see book/benchmarks.md)"
	@echo "make mutate     mistakes made on purpose: does a check notice each? (minutes)"
	@echo "make gpu        the measurements and full-size runs that need a GPU, into runs/"
	@echo "make lint       ruff"
	@echo "make lock       requirements.lock written anew from pyproject.toml"
	@echo "make clean      removes _build"
