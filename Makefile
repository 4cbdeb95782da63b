# make train   install, then train on the embedded jets: a report in a few seconds
# make test    install, then run the tests
# make lint    ruff, pyright, import-linter
# make docs    build the documentation into site/
# make bench   measure whole calls and their parts against peers; make bench-calls: one part
# make performance   write docs/performance.md and its pictures from what make bench measured
# make readme  train five models and write the README's table
# make results train the models of docs/results.md on 200,000 simulated jets: a night; goes on

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
RUN ?=

.DEFAULT_GOAL := help
.PHONY: help install train test test-slow lint docs bench performance readme results clean

help:
	@sed -n 's/^# make/make/p' Makefile

.venv/pip.done: constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "steepest needs Python 3.11 or later; found %s. Say which: make PYTHON=python3.12" % sys.version.split()[0])'
	$(PYTHON) -m venv .venv
	$(PIP) --upgrade pip
	@touch $@

.venv/install.done: .venv/pip.done pyproject.toml
	$(PIP) --editable .
	@touch $@

.venv/test.done: .venv/install.done
	$(PIP) --editable '.[all]' --group test
	-@$(PIP) --only-binary :all: fsspec-xrootd 2>/dev/null || echo "no fsspec-xrootd here: the tests of root:// are skipped"
	@touch $@

.venv/lint.done: .venv/install.done
	$(PIP) --group lint
	@touch $@

.venv/docs.done: .venv/install.done
	$(PIP) --group docs
	@touch $@

install: .venv/install.done

train: .venv/install.done
	$(BIN)/steepest train $(RUN)

# the tests start hundreds of processes, so their bytecode is kept
test test-slow: export PYTHONDONTWRITEBYTECODE =

test: .venv/test.done
	$(BIN)/python -m pytest -q -n 3 --dist worksteal -m "not slow"

test-slow: .venv/test.done
	$(BIN)/python -m pytest -q -m slow

lint: .venv/lint.done
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports

docs: .venv/docs.done
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

.venv/bench.done: .venv/test.done
	$(PIP) --editable '.[all,bench]'
	@touch $@

bench: .venv/bench.done
	$(BIN)/python -m benchmarks

bench-%: .venv/bench.done
	$(BIN)/python -m benchmarks $*

performance:
	$(BIN)/python -m benchmarks.document

readme: .venv/test.done
	$(BIN)/python tools/readme_table.py

.venv/results.done: .venv/install.done
	$(PIP) --editable '.[simulate,torch]' --group oracles
	@touch $@

results: .venv/results.done
	$(BIN)/python -m tools.results

clean:
	rm -rf .venv site
