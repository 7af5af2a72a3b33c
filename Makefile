# Python 3.11, git and make are all that must be there: every target first builds .venv from requirements.lock if need be.

PY := .venv/bin/python
INSTALLED := .venv/requirements.lock  # the copy is made last, so a build that was interrupted does not look complete
BENCHMARKS := $(filter-out harness __init__,$(basename $(notdir $(wildcard benchmarks/*.py))))
SPARK := .venv/spark  # the server of tests/numerics/test_engine_spark.py
ARGS :=  # further arguments of repro, ui and bench, for example: make bench ARGS=--quick

include flows/quiet.env
export $(shell sed 's/=.*//' flows/quiet.env)
export PATH := $(CURDIR)/.venv/bin:$(PATH)
unexport PYTHONPATH PYTHONHOME  # the run sees what the lock installs and nothing else

.PHONY: help repro studies test test-inner test-pipeline test-ui quick ui bench lock
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | awk -F '\t' '{ printf "make %-7s %s\n", $$1, $$2 }'

repro: $(INSTALLED)  ## run the whole graph, or what has changed of it, a cell per core; ends with report/index.html
	@$(PY) -m flows.schema  # flows.pipeline does too, but is not asked where DVC sees no change, as in a key that no stage reads
	@{ test ! -e scratch/untracked && $(PY) -m dvc --wait-for-lock status --quiet dvc.yaml; } || $(PY) -m flows.pipeline $(ARGS)
	@echo "report: file://$(CURDIR)/report/index.html"

studies: $(INSTALLED)  ## the full studies, an hour of CPU and not part of repro; their pages are data/full_studies/*.html
	@$(PY) -m flows.study all $(ARGS)

test: $(INSTALLED)  ## lint, types, import rules and every test
	@! command -v java >/dev/null || $(MAKE) --no-print-directory $(SPARK) || echo "warning: the tests on a real Spark are skipped"
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	.venv/bin/lint-imports
	@$(MAKE) --no-print-directory --jobs=2 test-pipeline test-inner test-ui

test-inner: $(INSTALLED)
	$(PY) -m pytest tests/unit tests/contract tests/numerics tests/gpu

test-pipeline: $(INSTALLED)
	$(PY) -m pytest tests/pipeline

test-ui: $(INSTALLED)
	$(PY) -m pytest tests/ui

quick: $(INSTALLED)  ## the tests that end within a minute
	$(PY) -m pytest tests/unit tests/contract tests/numerics -m "not slow"

ui: $(INSTALLED)  ## MLflow and Prefect in the browser, on this machine only; Ctrl-C ends both
	@$(PY) -m flows.ui $(ARGS)

bench: $(INSTALLED)  ## us beside named peers, one table each; ARGS=--quick for five minutes each
	@failed=0; for name in $(BENCHMARKS); do $(PY) -m benchmarks.$$name $(ARGS) || failed=1; done; exit $$failed

lock: $(INSTALLED)  ## compile pyproject.toml into requirements.lock; pins stay unless ARGS=--upgrade
	@tool=$$(mktemp -d) && trap 'rm -rf "$$tool"' EXIT && $(PY) -m venv "$$tool" && "$$tool/bin/pip" install --quiet uv && \
	"$$tool/bin/uv" pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links --quiet --output-file requirements.lock $(ARGS)

$(SPARK): tests/spark.lock
	@echo "there is Java, so Spark is fetched for its tests: 450 MB, about a minute" && rm -rf $@.part && \
	$(PY) -m pip install --disable-pip-version-check --quiet --no-deps --no-compile --no-build-isolation --require-hashes \
	  --target $@.part -r $< && rm -rf $@ && mv $@.part $@

$(INSTALLED): requirements.lock
	@if cmp -s requirements.lock $@; then touch $@; exit 0; fi; \
	for python in python3.11 python3 python; do \
	  "$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && found=$$python && break; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "error: no Python 3.11 with venv on PATH (tried python3.11, python3, python); install it and run again" >&2; exit 2; \
	fi; \
	echo "building .venv from requirements.lock: about 4 minutes" && rm -rf .venv && "$$found" -m venv .venv && \
	$(PY) -m pip install --disable-pip-version-check --no-deps --require-hashes -r requirements.lock && \
	cp requirements.lock $@
