# TravelHub. `make` alone lists what there is. Nothing is needed but make and Python 3.11 or newer.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed
# Extra arguments for the command behind a target: make test ARGS="-k refund", make demo ARGS=--json
ARGS ?=
# Where this is set, every process of the stack would compile all of our code each time it starts.
export PYTHONDONTWRITEBYTECODE :=
# Test files side by side: most tests wait for a timer or for another process, not for a processor.
TEST_JOBS ?= 2

# An environment that was made for another folder (a copied or moved checkout) would run that folder's code: make it anew.
ifneq ($(wildcard $(STAMP)),)
ifneq ($(shell cat $(STAMP)),$(CURDIR))
MOVED := moved
endif
endif

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo up down test lint types imports check bench bench-monitors bench-search bench-feed bench-reconciliation week audit lock clean moved

help: ## list these targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  ARGS="..." is passed on: make test ARGS="-k refund". PYTHON=python3.12 picks the Python of a new environment.'

demo: $(STAMP) ## start everything here, book trips, break things, show that the books balance
	@$(BIN)/travelhub demo $(ARGS) || { echo 'The demo failed: see above.'; exit 1; }

up: $(STAMP) ## start the local stack and keep it running; Ctrl-C stops it
	@$(BIN)/travelhub up $(ARGS)

down: $(STAMP) ## stop a local stack that was started with `travelhub up --detach`
	@$(BIN)/travelhub down $(ARGS)

test: $(STAMP) ## run the tests, two files at a time (TEST_JOBS=0: one after the other)
	@$(BIN)/pytest --numprocesses $(TEST_JOBS) --dist loadfile $(ARGS) && echo 'All tests passed.' || { echo 'Tests failed: see above.'; exit 1; }

lint: $(STAMP) ## check style, likely bugs and formatting
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && echo 'Lint: clean.' \
	  || { echo 'Lint found something: see above. `.venv/bin/ruff check --fix . && .venv/bin/ruff format .` mends most of it.'; exit 1; }

types: $(STAMP) ## check the types
	@$(BIN)/basedpyright && echo 'Types: clean.' || { echo 'Type errors: see above.'; exit 1; }

imports: $(STAMP) ## check that every room imports only from floors below it
	@$(BIN)/lint-imports --no-logo && echo 'Imports: clean.' || { echo 'An import goes up a floor: see above.'; exit 1; }

check: lint types imports test ## lint, types, imports and test

bench: $(STAMP) ## measure bookings against a no-op saga, what payment costs, and the reconciliation
	@$(BIN)/python -m bench $(ARGS) || { echo 'The benchmark failed: see above.'; exit 1; }

bench-monitors: $(STAMP) ## measure what watching flights costs as bookings grow
	@$(BIN)/python -m bench.monitors $(ARGS) || { echo 'The benchmark failed: see above.'; exit 1; }

bench-search: $(STAMP) ## measure cached and live searches against an empty route and the slowest supplier
	@$(BIN)/python -m bench.search $(ARGS) || { echo 'The benchmark failed: see above.'; exit 1; }

bench-feed: $(STAMP) ## measure the live feed with 2,000 connected clients on one API process
	@$(BIN)/python -m bench.feed $(ARGS) || { echo 'The benchmark failed: see above.'; exit 1; }

bench-reconciliation: $(STAMP) ## measure the reconciliation of 100,000 payments, and that it finds what is wrong
	@$(BIN)/python -m bench.reconciliation $(ARGS) || { echo 'The benchmark failed: see above.'; exit 1; }

week: $(STAMP) ## live through a week of 200 flights with workers killed, and check who was told of what
	@$(BIN)/python -m tests.week $(ARGS) || { echo 'The week was not as it must be: see above.'; exit 1; }

audit: $(STAMP) ## check our books against the vendors' books on a running stack
	@$(BIN)/travelhub audit $(ARGS)

# Existing pins stay unless ARGS=--upgrade. uv writes locks that hold for several Pythons and systems.
UV_COMPILE := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --fork-strategy fewest \
  --generate-hashes --no-config --no-header --no-emit-index-url --no-emit-find-links

lock: $(STAMP) ## write requirements.lock anew from pyproject.toml; ARGS=--upgrade takes newer versions
	@echo 'Resolving every package for requirements.lock ...'
	@$(UV_COMPILE) --all-extras $(ARGS) --output-file requirements.lock
	@echo 'Resolving what a production image needs for ops/requirements.lock ...'
	@$(UV_COMPILE) --extra build --constraints requirements.lock --no-annotate --output-file ops/requirements.lock
	@echo 'Locked. The next make target installs the difference.'

clean: ## remove the environment, caches and builds; the data in .travelhub stay
	@rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo 'Clean. The data of the local stack, if any, stay in .travelhub.'

PIP_INSTALL := $(BIN)/python -m pip --disable-pip-version-check --no-input install

# uv is many times faster than pip, which installs it first; unlike pip it compiles nothing unless told to. The stamp is written last, so
# an interrupted installation is taken up again by the next make.
$(STAMP): requirements.lock pyproject.toml $(MOVED)
	@if [ -n '$(MOVED)' ] || ! $(BIN)/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	  if ! "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
	    echo "TravelHub needs Python 3.11 or newer, and '$(PYTHON)' is $$("$(PYTHON)" --version 2>&1 || echo 'not there')." >&2; \
	    echo 'Name another one: make PYTHON=python3.12 ...' >&2; \
	    exit 1; \
	  fi; \
	  echo "Making the environment .venv with $$("$(PYTHON)" --version) ..."; \
	  rm -rf .venv; \
	  "$(PYTHON)" -m venv .venv || { \
	    rm -rf .venv; \
	    echo "'$(PYTHON)' cannot make environments. On Debian and Ubuntu the package python3-venv brings what is missing." >&2; \
	    exit 1; \
	  }; \
	fi
	@echo 'Installing the locked packages. The first time this downloads them ...'
	@awk '/^uv==/, !/\\$$/' requirements.lock > .venv/uv.txt
	@$(PIP_INSTALL) --quiet --require-hashes --only-binary :all: --requirement .venv/uv.txt
	@$(BIN)/uv pip install --system-certs --compile-bytecode --python $(BIN)/python --require-hashes --only-binary :all: --requirement requirements.lock || { \
	  echo 'uv could not install them. pip, which may be set up for this network, takes a few minutes ...'; \
	  $(PIP_INSTALL) --require-hashes --only-binary :all: --requirement requirements.lock; }
	@echo 'Installing TravelHub itself ...'
	@$(PIP_INSTALL) --quiet --no-deps --no-build-isolation --editable .
	@printf '%s\n' "$(CURDIR)" > $(STAMP)
	@echo 'The environment is ready.'
