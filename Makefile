# Two commands are enough:  make figures   and   make test.
# Every target makes its own .venv when it is missing or the requirements changed.

PYTHON ?= python3
PRESET ?= quick
DATA   ?= auto
SEED   ?= 7
OUT    ?= out
RUNS   ?=
TOY     = .venv/bin/python -m toy
DEEP    = .venv/bin/python -m deep
DRAW    = .venv/bin/python -m figures --out $(OUT)
INSTALL = .venv/bin/python -m pip install --quiet --disable-pip-version-check -c requirements.txt

.DEFAULT_GOAL := help
.PHONY: help study test test-all lint figures figures-deep runs explore docs paper bench zoo gpu wheel clean

help:  ## show this list
	@echo "make TARGET [PRESET=quick|paper|smoke] [DATA=auto|mnist|digits] [SEED=7] [RUNS=DIR] [OUT=out]"
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 16

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv

.venv/.figures: requirements.txt pyproject.toml | .venv/bin/python
	$(INSTALL) -e '.[toy,figures]'
	@touch $@

.venv/.explore: requirements.txt pyproject.toml | .venv/bin/python
	$(INSTALL) -e '.[toy,explore]'
	@touch $@

.venv/.deep: requirements.txt pyproject.toml | .venv/bin/python
	$(INSTALL) -e '.[figures,deep]'
	@touch $@

.venv/.docs: requirements.txt pyproject.toml | .venv/bin/python
	$(INSTALL) -e '.[toy,figures,explore,deep,docs]'
	@touch $@

.zoo/.ready: requirements.txt tests/zoo/requirements.txt pyproject.toml
	$(PYTHON) -m venv .zoo
	.zoo/bin/python -m pip install --quiet --disable-pip-version-check -c requirements.txt -e '.[deep]' -r tests/zoo/requirements.txt
	@touch $@

.venv/.paper: requirements.txt pyproject.toml | .venv/bin/python
	$(INSTALL) -e '.[figures,paper]'
	@touch $@

.venv/.dev: requirements.txt pyproject.toml | .venv/bin/python
	$(INSTALL) -e '.[toy,figures,deep,dev]'
	@touch $@

figures: .venv/.figures  ## run what is missing and draw it, and deep's figures from recorded runs (RUNS=figures/recorded: only draw)
ifeq ($(RUNS),)
	@mkdir -p runs
	$(TOY) all --preset $(PRESET) --data $(DATA) --seed $(SEED) --resume --root-file runs/.root
	$(DRAW) --runs "$$(cat runs/.root)" --fallback figures/recorded
else
	$(DRAW) --runs $(RUNS)
endif

figures-deep: .venv/.deep  ## with PyTorch: run what is missing of deep and draw it
	@mkdir -p runs
	$(DEEP) all --preset $(PRESET) --seed $(SEED) --resume --root-file runs/.deep-roots
	$(DRAW) $$(sed 's/^/--runs /' runs/.deep-roots)

runs: .venv/.figures  ## only run what is missing
	$(TOY) all --preset $(PRESET) --data $(DATA) --seed $(SEED) --resume

ifeq ($(RUNS),)
explore: .venv/.explore  ## small hypernetworks and the loss manifold as pages to play with (RUNS=DIR: deep's runs), in $(OUT)/explore
	$(foreach NAME,crossval local-small global-small loss-manifold,$(TOY) $(NAME) --preset $(PRESET) --data $(DATA) --seed $(SEED) --resume &&) \
	$(TOY) explore --out $(OUT)/explore
else
.venv/.explore-deep: requirements.txt pyproject.toml | .venv/bin/python
	$(INSTALL) -e '.[explore,deep]'
	@touch $@

explore: .venv/.explore-deep
	$(DEEP) explore $(RUNS) --out $(OUT)/explore
endif

STUDY_PRESET ?= quick
study: .venv/.deep  ## does it pay: self-tuning, constants and searches at equal processor time (resumes; STUDY_PRESET=smoke|quick|many|full)
	.venv/bin/python -m deep.study --preset $(STUDY_PRESET)

SLOPES = figures/recorded/study/slopes-seeds-701-703.csv
SITE = build/site
docs: .venv/.docs  ## the site, in build/site: pages, tutorials that run, all figures, small hypernetworks to play with
	.venv/bin/python -m figures --out docs/drawn --runs figures/recorded
	.venv/bin/python -m figures.study --out docs/drawn --slopes $(SLOPES)
	$(MAKE) --no-print-directory explore OUT=docs/extra PRESET=quick DATA=digits SEED=7
	.venv/bin/python -m sphinx -W --keep-going -q -b html docs $(SITE)
	@echo "open $(SITE)/index.html"

paper: .venv/.paper  ## every figure and table of both papers as one PDF and one HTML file (RUNS=figures/recorded)
	.venv/bin/python -m figures.paper --runs $(or $(RUNS),figures/recorded) --out $(OUT)/paper

test: lint  ## lint, types and the fast tests
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 .venv/bin/python -m pytest -q -n 2 -m "not slow and not gpu"

test-all: lint  ## every test that this machine can run (slow; HYPEROPT_HN_DATA for the real data)
	.venv/bin/python -m pytest -q

lint: .venv/.dev  ## ruff and mypy
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy hyperopt_hn toy deep figures

gpu: .venv/.dev  ## all that wants a GPU, nine minutes a call: correctness, steps, full-size runs; call again to go on
	.venv/bin/python -m deep.full_size

zoo: .zoo/.ready  ## some 200 public models of seven libraries put through as they come; resumable, half an hour
	.zoo/bin/python -W ignore -m tests.zoo --out runs/zoo.jsonl
	.zoo/bin/python -m tests.zoo --show runs/zoo.jsonl

bench: .venv/.dev  ## fast code against naive references, ratios of medians
	OPENBLAS_NUM_THREADS=1 .venv/bin/python -m tests.bench

TRY = build/try
wheel:  ## build the wheel, install it with PyTorch alone in an empty environment and run the README's example there
	rm -rf $(TRY) && mkdir -p $(TRY)
	$(PYTHON) -m venv $(TRY)/.venv
	$(TRY)/.venv/bin/python -m pip wheel --quiet --disable-pip-version-check --no-deps -w $(TRY) .
	$(TRY)/.venv/bin/python -m pip install --quiet --disable-pip-version-check -c requirements.txt "$$(echo $(TRY)/*.whl)[nn]" scikit-learn matplotlib
	awk '/^```python/ { on = !seen++; next } /^```/ { on = 0 } on' README.md > $(TRY)/example.py
	cd $(TRY) && .venv/bin/python -W error example.py

clean:  ## remove the virtual environment, caches and drawn figures (runs stay)
	rm -rf .venv $(OUT) build docs/drawn docs/extra *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
