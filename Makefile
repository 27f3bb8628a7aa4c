# make run    everything on a fresh machine: environment, pipeline, summary
# make test   the tests
# make lint   style and types
# make fetch  public data by name, such as make fetch SOURCE=ghfdb; without SOURCE the list of them
# make ablation  the report's experiments on the demo (an hour): benchmarks/ABLATION_demo.md; another region by
#             make ablation REGION=name SET='-S data.elevation=... -S data.wells=...'
# make compare  the headline metrics of all experiments; KEEP='train.lr|augment.flip' for other params beside them
# make docs   docs/params.md from the typed params
# make torture  mutated files, random params, failing disks and 50 kills, counted by how they end (40 minutes)
# make bench  side-by-side measurements (about ten minutes, 15 GB of disk for a while)

PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: run test lint fetch bench torture ablation compare docs

run: $(VENV)/installed
	@dvc repro
	@python -m heatflow.present.summary metrics

test: $(VENV)/installed
	@pytest -n auto --maxprocesses 4 --dist loadgroup

lint: $(VENV)/installed
	@ruff check .
	@ruff format --check .
	@mypy

KEEP ?= train\.dropout
compare: $(VENV)/installed
	@COLUMNS=$$(( $${COLUMNS:-0} > 120 ? $${COLUMNS:-0} : 120 )) dvc exp show --no-pager --drop '.*' --keep 'Experiment|(^|:)(accuracy|auc_high|auc_equal_count|verdict.answer)$$|$(KEEP)'

docs: $(VENV)/installed
	@python -m heatflow.params_page params.yaml docs/params.md

fetch: $(VENV)/installed
	@python -m heatflow.sources $(SOURCE)

REGION ?= demo
ablation: $(VENV)/installed
	@python -m benchmarks.ablation $(REGION) $(SET)

bench: $(VENV)/installed
	@python -m benchmarks

torture: $(VENV)/installed
	@python -m benchmarks.torture

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("heatflow needs Python 3.11 or later: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@
