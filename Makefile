# make run       everything on a fresh machine: environment, pipeline, summary
# make test      the tests, without the long ones; make test-all runs those too
# make lint      style and types
# make house     measures of the code: lines, long functions, types, repetitions
# make dvc       the deps of dvc.yaml, from the imports of each stage
# make docs      docs/params.md, from the typed params, and the site of all pages and docstrings in site/
# make fetch     public data by name, such as make fetch SOURCE=ghfdb; without SOURCE the list of them
# make compare   the headline metrics of the experiments since the last commit; KEEP='train.lr|augment.flip' for other params beside them
# make ablation  the report's experiments on the demo (an hour): benchmarks/ABLATION_demo.md; another region by
#                make ablation REGION=name SET='-S data.elevation=... -S data.wells=...'
# make learning-curve  skill at a quarter, half, three quarters and all of the training tiles of the last run (an hour)
# make coverage  how often the intervals hold the truth where there is nothing to learn (ten minutes)
# make stability      the default run with other seeds, precisions and vector units: what changes (an hour)
# make regions        the default run up to the evaluation on ten other demo regions (half an hour): benchmarks/REGIONS.md
# make calibration    how often the verdict on structure errs, on 80 regions whose answer is known (two hours)
# make greatbasin ELEVATION=... WELLS=...  the Great Basin from raw files (six minutes): benchmarks/greatbasin.json
# make torture   damaged files and bundles, odd params and words, kills, full disk, little memory (an hour): benchmarks/ABUSE.md
# make bench     side-by-side measurements (half an hour, 15 GB of disk for a while)

PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: run test test-all lint house dvc docs fetch compare ablation learning-curve coverage stability regions calibration greatbasin torture bench

run: $(VENV)/installed
	@dvc repro
	@heatflow summary

test: $(VENV)/installed
	@pytest -n auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder -m 'not slow'

test-all: $(VENV)/installed
	@pytest -n auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder

lint: $(VENV)/installed
	@ruff check .
	@ruff format --check .
	@mypy

house: $(VENV)/installed
	@python -m tests.house

dvc: $(VENV)/installed
	@python -m heatflow.pipeline

docs: $(VENV)/docs
	@heatflow docs
	@NO_MKDOCS_2_WARNING=1 mkdocs build --quiet --strict
	@echo site/index.html

fetch: $(VENV)/installed
	@heatflow fetch $(SOURCE)

KEEP ?= train\.dropout
compare: $(VENV)/installed
	@heatflow compare --keep '$(KEEP)'

REGION ?= demo
ablation: $(VENV)/installed
	@python -m benchmarks.ablation $(REGION) $(SET)

learning-curve: $(VENV)/installed
	@python -m benchmarks.learning_curve

coverage: $(VENV)/installed
	@python -m benchmarks.coverage

stability: $(VENV)/installed
	@python -m benchmarks.stability

regions: $(VENV)/installed
	@python -m benchmarks.regions

calibration: $(VENV)/installed
	@python -m benchmarks.calibration

greatbasin: $(VENV)/installed
	@python -m benchmarks.greatbasin $(ELEVATION) $(WELLS)

torture: $(VENV)/installed
	@python -m benchmarks.torture

bench: $(VENV)/installed
	@python -m benchmarks

$(VENV)/docs: $(VENV)/installed
	@$(VENV)/bin/pip install --quiet --constraint constraints.txt --editable '.[docs]'
	@touch $@

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("heatflow needs Python 3.11 or later: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@
