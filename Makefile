# What a person does with a clone of Unspool. `make` lists it.

PYTHON ?= python3
VENV ?= .venv

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
BUILD_INPUTS := pyproject.toml constraints.txt CMakeLists.txt $(wildcard csrc/* csrc/*/*)

.DEFAULT_GOAL := help
.PHONY: help demo test asan format constraints clean

help: ## list these targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/:/' | awk -F': ' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: $(VENV)/core.stamp ## train on the built-in digits, evaluate on those held out, and draw the curves
	@rm -rf runs/demo
	$(BIN)/unspool train digits --out runs/demo
	$(BIN)/unspool evaluate runs/demo --split test
	@echo "The curves of the training: runs/demo/curves.png"

test: $(VENV)/dev.stamp ## check format, lint, types and import contracts, then run every test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile

# A copy of the package beside the editable install, which -S keeps from being found. The sanitizer's
# library must be loaded before Python, and libstdc++ with it, or else exceptions are not understood.
asan: SITE = $(shell $(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
asan: PRELOAD = $(foreach name,libasan.so libstdc++.so,$(shell $(CXX) -print-file-name=$(name)))
asan: $(VENV)/dev.stamp ## run the kernels' tests under the address and undefined-behaviour sanitizers
	@rm -rf build/asan/site
	CXX=$(CXX) $(PIP) install --no-deps --no-build-isolation --target build/asan/site \
	  --config-settings=build-dir=build/asan/build --config-settings=cmake.define.UNSPOOL_SANITIZE=ON .
	PYTHONPATH=build/asan/site:$(SITE) LD_PRELOAD="$(PRELOAD)" ASAN_OPTIONS=detect_leaks=0 \
	  $(BIN)/python -S -m pytest tests/nn/test_kernels.py tests/nn/test_keeping_packed.py \
	  tests/nn/test_cross_entropy.py tests/nn/test_decoder_step.py \
	  tests/nn/test_additive_scores.py tests/nn/test_stepwise.py tests/nn/test_products.py \
	  tests/nn/test_dropout.py tests/models/test_greedy_runs.py tests/decoding/test_ranking.py

format: $(VENV)/dev.stamp ## format the code and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

constraints: ## write constraints.txt anew, with the newest releases beside the pinned torch
	@rm -rf build/constraints && mkdir -p build
	$(PYTHON) -m venv build/constraints
	grep '^torch==' constraints.txt > build/torch.txt
	build/constraints/bin/python -m pip install --quiet -c build/torch.txt -e '.[dev]'
	{ sed -n '/^#/p' constraints.txt; \
	  build/constraints/bin/python -m pip freeze --exclude-editable \
	  | sed -E 's/\+[a-z0-9]+$$//' | grep -ivE '^(cuda|nvidia|triton)|@'; } > build/constraints.txt
	mv build/constraints.txt constraints.txt
	@rm -rf build/constraints

clean: ## remove the environment, builds, caches and the demo's run
	rm -rf $(VENV) build dist runs/demo
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# The package itself, then also what its tests need. The native module is built on the way, where
# there is a C++ compiler.
$(VENV)/core.stamp: $(VENV)/made.stamp $(BUILD_INPUTS)
	@echo "Installing Unspool into $(VENV); the first time takes a minute or more."
	@$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/made.stamp $(BUILD_INPUTS)
	@echo "Installing Unspool and its test tools into $(VENV); the first time takes a minute or more."
	@$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $(VENV)/core.stamp $@

$(VENV)/made.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Unspool needs Python 3.11 or newer, and '$(PYTHON)' is not; try: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@
