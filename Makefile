# `make quickstart` runs a study to its report, `make test` the tests, `make docs` makes the site. Each does its own
# set-up in .venv.
# Without a GPU, a CPU build of torch is taken where there is one (docs/constraints-cpu.txt).
PYTHON ?= python3
BIN := .venv/bin
HAS_GPU := $(shell nvidia-smi -L 2>/dev/null)
CONSTRAINTS := $(if $(HAS_GPU),,-c docs/constraints-cpu.txt)
# Two processes, of which one has the tests with Ray (tests/conftest.py); the clusters' alone: each starts two nodes.
TESTS := $(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder --ignore tests/cluster
CLUSTER_TESTS := $(BIN)/python -m pytest tests/cluster
SOURCES := $(shell find schedulers search spaces studies trainers -name '*.py' -o -name '*.yaml')

.PHONY: quickstart test test-long docs audit constraints lower-bounds clean

quickstart: .venv/package
	$(BIN)/largebatch run quickstart --out runs/quickstart

test: .venv/package .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf build && $(BIN)/pip install -q --no-deps --target build/types .
	$(BIN)/mypy
	$(TESTS) --durations=40
	$(CLUSTER_TESTS) --durations=10

# What CI tries at a few random places, at 17 times as many: kills, full disks, damaged files. Some hours.
test-long: .venv/package .venv/dev
	TIMES=17 $(TESTS)
	TIMES=17 $(CLUSTER_TESTS)

docs: .venv/package .venv/dev
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build
	@echo docs/_build/index.html

# A report: licences, and known vulnerabilities where the service can be asked. It fails nothing.
audit: .venv/package .venv/dev
	$(BIN)/python docs/environments/audit.py

# The versions that the tests ran with, without the local part of a build (+cpu), for other machines.
constraints: .venv/dev
	$(BIN)/pip freeze -q --exclude largebatch | sed -n 's/^\([^ @]*==[^+]*\).*/\1/p' > docs/environments/constraints.txt

# The lowest versions that pyproject.toml allows, all at once, and the tests that need no browser and no cluster. Without
# a CPU build of that torch this loads some 3 GB. Muon is torch's own, of 2.9.
LOWEST := .venv-lowest/bin
EXTRAS := dashboard,figures,galaxies,gw,huggingface,images,lightning,mlflow,postgresql,tensorboard
LOWEST_TESTS := adapters history images laws own record report schedulers search sinks/test_sinks.py spaces study_file \
  training
lower-bounds:
	$(PYTHON) -m venv --clear .venv-lowest
	$(PYTHON) docs/environments/lowest.py > .venv-lowest/constraints.txt
	$(LOWEST)/pip install -q uv
	rm -rf build && $(LOWEST)/uv pip install -q --python $(LOWEST)/python -c .venv-lowest/constraints.txt '.[$(EXTRAS)]' \
	  hypothesis pytest pytest-xdist
	$(LOWEST)/python -m pytest -n 2 --dist loadgroup -k 'not muon' -m 'not slow' $(addprefix tests/,$(LOWEST_TESTS))
	$(LOWEST)/largebatch run quickstart --budget-trials 4 --out .venv-lowest/quickstart  # on Ray

.venv/dependencies: pyproject.toml docs/constraints-cpu.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q $(CONSTRAINTS) .
	touch $@

# The package as its users get it, a wheel: an editable install would hide a file that does not ship.
.venv/package: .venv/dependencies setup.py $(SOURCES)
	rm -rf build
	$(BIN)/pip install -q --no-deps --force-reinstall .
	touch $@

.venv/dev: .venv/dependencies
	$(BIN)/pip install -q $(CONSTRAINTS) '.[dev]'
	$(BIN)/pip install -q --no-deps timm  # it wants torchvision, of which there is no build for every torch
	$(BIN)/pip install -q --no-deps roc-validator  # it wants an older rich; tests/sharing runs it with ours
	touch $@

clean:
	rm -rf .venv .venv-lowest build
