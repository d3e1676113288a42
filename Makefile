# Every verb sets up what it needs: a virtual environment in .venv with the pins of requirements.lock, installed once.
# Needs Python 3.11 to 3.13 and a package index; no root, no GPU, no model hub, no key.

PROFILE ?= study
VENV := .venv
PY := $(VENV)/bin/python
FITS := import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13; do \
    "$$p" -c '$(FITS)' 2>/dev/null && echo "$$p" && break; done)
# Named after what is installed, so a changed pin installs again and an old time stamp does not.
READY := $(VENV)/.ready-$(shell cat requirements.lock pyproject.toml | cksum | cut -d ' ' -f 1)

.DEFAULT_GOAL := help
.PHONY: help study test lab record figures report clean

help:  ## show this list
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

study: $(READY)  ## run the whole study and redraw its figures (PROFILE=smoke, study or full)
	$(PY) -m llmexp_utils.run study --profile $(PROFILE)

test: $(READY)  ## run the tests
	$(PY) -m pytest -q --numprocesses 2 --dist loadfile --nbval-lax --nbval-cell-timeout 600 tests notebooks

lab: $(READY)  ## open the notebooks in JupyterLab
	$(PY) -m jupyterlab $(if $(filter 0,$(shell id -u)),--allow-root) notebooks

record: $(READY)  ## ask the real 0.5B generator again for a few functions (params/record.yaml)
	$(PY) -m llmexp_utils.run record

figures: $(READY)  ## redraw the figures and tables of 07_results from the predictions at hand (PROFILE=...)
	$(PY) -m llmexp_utils.run notebook 07_results --profile $(PROFILE) --force

report: $(READY)  ## put the committed results into the README and list all figures
	$(PY) -m llmexp_utils.report

clean:  ## remove runs and caches of tools; .venv, downloads, recordings, results and figures stay
	rm -rf runs .snakemake .pytest_cache .ruff_cache
	find llmexp_utils notebooks tests -type d \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +

$(READY):
	@$(PY) -c '$(FITS)' 2>/dev/null && $(PY) -m pip --version >/dev/null 2>&1 || { \
	    "$(PYTHON)" -c '$(FITS)' 2>/dev/null || { echo "error: $(if $(PYTHON),$(PYTHON) is not,found no) Python 3.11 to 3.13: \
	install one, or name it: make PYTHON=/path/to/python" >&2; exit 1; }; \
	    "$(PYTHON)" -m venv --clear $(VENV) || { echo "error: $(PYTHON) made no virtual environment: \
	install its venv module" >&2; exit 1; }; }
	@echo "Installing the pinned packages into $(VENV): once, a few minutes."
	@$(PY) -m pip install --disable-pip-version-check --quiet -r requirements.lock
	@$(PY) -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/.ready-*
	@touch $@
