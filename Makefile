# uniemo: `make help` lists the targets.
EXPERIMENT ?= experiments/emoscenes.yaml
PHASE ?= all
PROFILE ?= quick
PYTHON := $(or $(PYTHON),$(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))" 2>/dev/null && echo $$p && break; done))

# One virtual environment (several GB) outside the clone, named after the pins: a fresh clone finds it
# ready. It serves one clone at a time; to use two clones at once, give each its own (VENV=.venv).
PINS := $(shell cksum < constraints.txt | cut -d" " -f1)
VENV := $(or $(VENV),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/uniemo/$(notdir $(PYTHON))-$(PINS))
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -c constraints.txt
# Written last, it holds the path of the clone that the environment serves.
READY := $(VENV)/clone.txt
OTHER := $(filter-out $(CURDIR),$(shell cat $(READY) 2>/dev/null))

.DEFAULT_GOAL := help
.PHONY: help install data backbones train eval ablate play test lint docs bench soak clean rebind fuzz audit

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18
	@echo
	@echo "  Settings: EXPERIMENT=$(EXPERIMENT) ARGS='--key value' VENV=folder PYTHON=python3.12"

install: $(READY) ## set up the virtual environment and print how to activate it
	@echo "source $(BIN)/activate"

# The first call downloads; later ones (another clone, changed requirements) take seconds.
$(READY): setup.cfg pyproject.toml constraints.txt $(if $(OTHER),rebind)
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 to 3.13 found; install one or set PYTHON" >&2; exit 1; }
	@rm -f $@; test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (several GB the first time; $(VENV)/pip.log tells how far)"
	@{ $(PIP) setuptools && $(PIP) --no-build-isolation -e '.[emoscenes,test]'; } > $(VENV)/pip.log 2>&1 \
		|| { cat $(VENV)/pip.log >&2; exit 1; }
	@echo "$(CURDIR)" > $@

EMOSCENES := $(if $(findstring emoscenes,$(EXPERIMENT)),data/emoscenes/card.json)
# For the study: further real images, and training splits that are harder than what is tested.
STUDY := $(if $(EMOSCENES),$(if $(filter full,$(PROFILE)),more long_tail withheld_pairs wrong_20 wrong_40 narrow))
FLAGS_more := --seed 1
FLAGS_long_tail := --training.long_tail 50
FLAGS_withheld_pairs := --training.withheld_pairs 0.5
FLAGS_wrong_20 := --training.wrong_labels 0.2
FLAGS_wrong_40 := --training.wrong_labels 0.4
FLAGS_narrow := --training.narrow true

data: data/emoscenes/card.json ## write the embedded data set (data/emoscenes)

data/emoscenes/card.json: $(wildcard data_modules/emoscenes/*.py) | $(READY)
	@$(BIN)/python -m data_modules.emoscenes --root data/emoscenes && touch $@

data/emoscenes_%/card.json: $(wildcard data_modules/emoscenes/*.py) | $(READY)
	@$(BIN)/python -m data_modules.emoscenes --root data/emoscenes_$* $(FLAGS_$*) && touch $@

train: $(READY) $(EMOSCENES) ## train: all phases, or PHASE=joint|generate|finetune
	@$(BIN)/uniemo train --experiment $(EXPERIMENT) --phase $(PHASE) $(ARGS)

eval: $(READY) $(EMOSCENES) ## evaluate the newest checkpoint, CKPT=file, on DATA=another set, or IMAGES=folder of any system
	@$(BIN)/uniemo eval --experiment $(EXPERIMENT) $(if $(CKPT),--ckpt $(CKPT)) $(if $(IMAGES),--images $(IMAGES)) $(if $(DATA),--data $(DATA)) $(ARGS)

ablate: $(READY) $(EMOSCENES) $(STUDY:%=data/emoscenes_%/card.json) ## run the study, write docs/RESULTS.md (PROFILE=full: hours; resumable)
	@$(BIN)/uniemo ablate --experiment $(EXPERIMENT) --profile $(PROFILE) $(if $(STUDY),--more-real data/emoscenes_more) $(ARGS)

backbones: $(READY) ## train the small CLIP and Stable Diffusion from scratch (hours; resumable)
	@$(BIN)/python -m uniemo.backbones $(ARGS)

play: $(READY) ## open a page on this machine: read photos, paint, blend, edit (RUN=folder)
	@$(BIN)/uniemo play $(if $(RUN),--run $(RUN)) $(ARGS)

test: lint ## lint, then run the tests (ARGS=tests/fusion: some of them)
	@HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

lint: $(READY) ## ruff, mypy, import contracts, documentation
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports --no-logo
	@$(MAKE) --no-print-directory docs

docs: $(READY) ## build the documentation (build/site/index.html)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

bench: $(READY) ## speed and memory beside the public procedure (ARGS=--short: minutes)
	@$(BIN)/python -m uniemo.benchmark $(ARGS)

soak: $(READY) ## kills, stops, full disks, two at once and long runs, on tiny files (an hour)
	@$(BIN)/python -m tests.soak $(ARGS)

fuzz: $(READY) ## read 100,000 damaged files: each is read or refused in one line
	@HF_HUB_OFFLINE=1 $(BIN)/python -m tests.fuzz $(ARGS)

audit: $(READY) ## list known advisories of the pinned packages (needs an index of them)
	@$(BIN)/python -m pip_audit --version > /dev/null 2>&1 || $(BIN)/python -m pip install --quiet pip-audit
	@$(BIN)/python -m pip_audit --requirement constraints.txt --no-deps --disable-pip

clean: ## remove caches and builds (keeps data, runs and the environment)
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
