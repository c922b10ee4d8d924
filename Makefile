# uniemo: `make help` lists what can be made.
EXPERIMENT ?= experiments/emoscenes.yaml
PHASE ?= all
PROFILE ?= quick
PYTHON ?= python3.11
CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/uniemo

# The packages (several GB) live outside the clone, one folder per set of pins, shared by all clones.
# .venv is a thin layer over them that holds this clone alone.
REQUIREMENTS := sed -n '/^install_requires/,/^$$/p;/^emoscenes/,/^$$/p' setup.cfg \
	| grep -oE '^    [A-Za-z0-9_-]+(\[[a-z,]+\])?([>=].*)?$$' | sed 's/^ *//'
PINS := $(shell (cat constraints.txt; $(REQUIREMENTS)) | sha256sum | cut -c1-12)
PACKAGES := $(CACHE)/packages-$(PINS)
BIN := .venv/bin
READY := .venv/ready-$(PINS)

.DEFAULT_GOAL := help
.PHONY: help install data backbones train eval ablate test lint bench clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18
	@echo "  Settings: PHASE=joint, EXPERIMENT=$(EXPERIMENT), ARGS='--key value'"

install: $(READY) ## set up the environment (.venv/bin/activate puts its commands on the path)

$(PACKAGES)/ready: ; @mkdir -p $(CACHE)
	@echo "Installing the pinned packages into $(PACKAGES) (a minute or a few)"
	@rm -rf $(PACKAGES) && $(PYTHON) -m venv $(PACKAGES)
	@($(REQUIREMENTS); echo "setuptools>=77") > $(PACKAGES)/requirements.txt
	@$(PACKAGES)/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt \
		-r $(PACKAGES)/requirements.txt 2>&1 | grep -v "^WARNING: Location" || true
	@$(PACKAGES)/bin/python -c "import torch, lightning, diffusers, open_clip, datasets"
	@touch $@

$(READY): $(PACKAGES)/ready setup.cfg pyproject.toml
	@rm -rf .venv && $(PACKAGES)/bin/python -m venv --without-pip .venv
	@$(PACKAGES)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" \
		> $$($(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/packages.pth
	@$(PACKAGES)/bin/python -m pip -q --disable-pip-version-check --python $(BIN)/python install --no-deps --no-build-isolation -e .
	@touch $@

data: data/emoscenes/card.json ## write the embedded data set (data/emoscenes)

data/emoscenes/card.json: $(wildcard data_modules/emoscenes/*.py) | $(READY)
	@$(BIN)/python -m data_modules.emoscenes --root data/emoscenes && touch $@

# Further real pictures, the study's upper baseline on the whole training split.
data/emoscenes_more/card.json: $(wildcard data_modules/emoscenes/*.py) | $(READY)
	@$(BIN)/python -m data_modules.emoscenes --root data/emoscenes_more --seed 1 && touch $@

backbones: $(READY) ## train the small CLIP and Stable Diffusion from nothing (hours; resumable)
	@$(BIN)/python -m uniemo.backbones $(ARGS)

train: $(READY) $(if $(findstring emoscenes,$(EXPERIMENT)),data/emoscenes/card.json) ## train: all phases, or PHASE=joint|generate|finetune
	@$(BIN)/uniemo train --experiment $(EXPERIMENT) --phase $(PHASE) $(ARGS)

eval: $(READY) $(if $(findstring emoscenes,$(EXPERIMENT)),data/emoscenes/card.json) ## evaluate the newest checkpoint, CKPT=file, or IMAGES=folder of any system
	@$(BIN)/uniemo eval --experiment $(EXPERIMENT) $(if $(CKPT),--ckpt $(CKPT)) $(if $(IMAGES),--images $(IMAGES)) $(ARGS)

lint: $(READY) ## ruff and mypy
	@$(BIN)/python -m ruff check . && $(BIN)/python -m ruff format --check . && $(BIN)/python -m mypy

MORE_REAL := $(if $(findstring emoscenes,$(EXPERIMENT)),$(if $(filter full,$(PROFILE)),data/emoscenes_more))

ablate: $(READY) $(if $(findstring emoscenes,$(EXPERIMENT)),data/emoscenes/card.json) $(MORE_REAL:%=%/card.json) ## does it help? writes docs/RESULTS.md (PROFILE=quick, or full: hours; resumable)
	@$(BIN)/uniemo ablate --experiment $(EXPERIMENT) --profile $(PROFILE) $(MORE_REAL:%=--more-real %) $(ARGS)

test: lint ## lint, type check and tests
	@HF_HUB_OFFLINE=1 $(BIN)/python -m pytest $(ARGS)

bench: $(READY) ## measure the speed of the filter
	@$(BIN)/python -m uniemo.filtering.benchmark

clean: ## remove what make made in this clone (not the shared packages)
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
