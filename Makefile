# Everything runs in .venv, which is made on first use. Needed beforehand: make and Python 3.11 or newer.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
OUT    := demo-output
TESTS  ?= tests
# of make cards
MODELS  ?= $(notdir $(patsubst %/tokenizer.json,%,$(wildcard bio_xlstm/bundled/*/tokenizer.json)))
RESULTS ?= out/results
CORPORA ?= out/corpus
STEPS   ?= 2000

# two threads are enough for small tensors, and leave room for the tests' own processes
export OMP_NUM_THREADS ?= 2

.PHONY: help demo test lint format types wheel bench cards data-folder kernels clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

# torch goes first, alone, so that a build found locally (CPU only, or for this machine's CUDA) is kept
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("bio-xlstm needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $(READY)

demo: $(READY)  ## embed the three example files and show what came out
	@mkdir -p $(OUT)
	$(BIN)/bioxlstm embed examples/proteins.fasta -o $(OUT)/proteins.parquet --overwrite
	$(BIN)/bioxlstm embed examples/genes.fna -o $(OUT)/genes.parquet --overwrite
	$(BIN)/bioxlstm embed examples/molecules.smi -o $(OUT)/molecules.parquet --overwrite
	$(BIN)/python examples/show.py $(OUT)/proteins.parquet $(OUT)/genes.parquet $(OUT)/molecules.parquet

test: $(READY)  ## run the tests (TESTS=tests/cli for a part of them)
	$(BIN)/python -m pytest -q $(TESTS)

lint: $(READY) types  ## style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY)  ## put the code into the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(READY)  ## check the types of exactly what a wheel would hold
	@rm -rf build/types && mkdir -p build/types/bio_xlstm
	@ln -s $(CURDIR)/bio_xlstm/* $(CURDIR)/kernels $(CURDIR)/tasks $(CURDIR)/cli build/types/bio_xlstm/
	$(BIN)/mypy

wheel: $(READY)  ## build dist/*.whl
	$(BIN)/python -m build --wheel

bench: $(READY)  ## print speed and memory tables, on made-up inputs
	$(BIN)/python benchmarks/tokenizing.py
	$(BIN)/python benchmarks/embedding.py

# hours of work; recipes/sources.tsv says where the data come from
cards: data-folder $(READY)  ## measure the bundled models and write their cards (DATA=folder of the recipes' data)
	@mkdir -p $(RESULTS)
	@set -e; for name in $(MODELS); do \
	    measure() { echo "$$*"; $(BIN)/python benchmarks/"$$@" --data $(DATA) --json $(RESULTS)/$${1%.py}-$$name.json; }; \
	    measure perplexity.py $$name recipes/$$name.toml --cache $(CORPORA); \
	    measure language_models.py recipes/$$name.toml --cache $(CORPORA) --steps $(STEPS); \
	    measure probes.py $$name; \
	    case $$name in \
	        chem-*) measure molecules.py $$name recipes/$$name.toml --cache $(CORPORA);; \
	        protein-*) measure homologs.py $$name recipes/$$name.toml --cache $(CORPORA);; \
	    esac; \
	done
	$(BIN)/python benchmarks/model_cards.py --results $(RESULTS)

data-folder:
	@test -d "$(DATA)" || { echo "make cards DATA=FOLDER: the folder of the data that the recipes name (recipes/sources.tsv)" >&2; exit 2; }

kernels: $(READY)  ## measure the kernels and write docs/kernels.md (ARGS="--only decoding" for a part)
	$(BIN)/python benchmarks/document.py $(ARGS)

clean:  ## remove everything that can be made again, the environment included
	rm -rf $(VENV) build dist *.egg-info $(OUT) .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
