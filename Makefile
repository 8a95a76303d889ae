# What a developer needs: `make setup | demo | demo-cluster | test | test-native | test-sanitize | lint | bench | bench-gates | clean`.
# Each target sets up by itself where needed.

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed

# The first Python that is at least 3.11 and can make a virtual environment; `make PYTHON=... setup` overrides it.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)

# The clients of RedisGears that tests start, with what they need: in environments of their own, as they need old packages.
CLIENTS := $(VENV)/clients
CLIENTS_STAMP := $(CLIENTS)/.installed

# Task queues that benchmarks compare with, in an environment of their own for the same reason.
PEERS := $(VENV)/peers
PEERS_STAMP := $(PEERS)/.installed

# Patient with a slow network.
PIP := $(BIN)/python -m pip --disable-pip-version-check --timeout 120 --retries 8

# More arguments, for pytest or the benchmarks: `make test ARGS='tests/unit -k offset'`, `make bench ARGS='--quick --only latency'`.
ARGS ?=

# The C of the server module, and the tests of it that need no server.
NATIVE   := CMakeLists.txt $(wildcard native/* extension/*)
C_TESTS  := $(patsubst tests/native/%.c,build/native/%,$(wildcard tests/native/*.c))
C_FLAGS  := -std=c11 -D_GNU_SOURCE -Wall -Wextra -Inative -pthread
SANITIZE ?= address,undefined

# What holds the extension to its twin, and needs no server.
TWIN_TESTS := $(wildcard tests/property/test_*_twins.py)

.PHONY: setup demo demo-cluster test test-native test-sanitize test-sanitize-extension lint format bench bench-gates clean

setup: $(STAMP) $(CLIENTS_STAMP)
	@echo "setup: $(VENV) is ready"

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "No Python >= 3.11 with venv and ensurepip was found. Install one (on Debian: apt install python3-venv)," >&2; \
		echo "or name it: make PYTHON=/path/to/python3 setup" >&2; exit 1; fi
	@echo "setup: $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

# Installs again when pyproject.toml or the module's C changed. The stamp is written last: a setup that was broken off is done again.
$(STAMP): pyproject.toml $(NATIVE) | $(BIN)/python
	@echo "setup: installing geartrain[dev] into $(VENV) (half a minute; longer on a slow network)"
	@$(PIP) install --quiet --editable '.[dev]'
	@$(PIP) check
	@touch $(STAMP)

# client: what users have on their side. server: geartrain as it is in $(VENV), and what scripts import in the server.
# wheels: what sessions require.
$(CLIENTS_STAMP): $(wildcard tests/clients/*.txt) | $(STAMP)
	@echo "setup: installing clients of RedisGears into $(CLIENTS) (a quarter of a minute)"
	@rm -rf $(CLIENTS)
	@$(BIN)/python -m venv --without-pip $(CLIENTS)/client
	@$(PIP) --python $(CLIENTS)/client/bin/python install --quiet -r tests/clients/client.txt
	@$(BIN)/python -m venv --without-pip $(CLIENTS)/server
	@$(PIP) --python $(CLIENTS)/server/bin/python install --quiet --no-deps -r tests/clients/server.txt
	@packages=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
		echo "import site; site.addsitedir('$$packages')" \
		> "$$($(CLIENTS)/server/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/geartrain-beside.pth"
	@$(PIP) download --quiet --dest $(CLIENTS)/wheels -r tests/clients/wheels.txt
	@touch $@

demo: $(STAMP)
	@$(BIN)/python examples/shop/demo.py

demo-cluster: $(STAMP)
	@$(BIN)/python examples/cluster/demo.py

test: $(STAMP) $(CLIENTS_STAMP)
	@$(BIN)/python -m pytest -q --numprocesses 4 --dist loadscope $(ARGS)

# Each tests/native/*.c is a program with all of native/*.c in it. `make SANITIZE= test-native`: without sanitizers.
test-native: $(C_TESTS)
	@for program in $(C_TESTS); do echo "$$program"; $$program || exit 1; done

build/native/%: tests/native/%.c $(NATIVE)
	@mkdir -p $(@D)
	$(CC) $(C_FLAGS) -O1 -g $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=undefined) \
		-o $@ $< $(filter native/%.c,$(NATIVE)) -ldl -lm

# First the extension in this Python, then the tests of the module, on servers that run under AddressSanitizer and
# UndefinedBehaviorSanitizer. What these find is in build/sanitize/reports/, and fails the run.
test-sanitize: build/sanitize/.installed test-sanitize-extension
	@rm -rf build/sanitize/reports && mkdir -p build/sanitize/reports
	@GEARTRAIN_MODULE=$(CURDIR)/build/sanitize/geartrain/native/geartrain.so \
		GEARTRAIN_SANITIZER_REPORTS=$(CURDIR)/build/sanitize/reports \
		$(BIN)/python -m pytest -q --numprocesses 4 --dist loadscope tests/native $(ARGS)
	@if [ -n "$$(ls build/sanitize/reports)" ]; then cat build/sanitize/reports/*; exit 1; fi

# The sanitizers' library has to be in the process before the extension. Hypothesis: fewer examples.
test-sanitize-extension: build/sanitize/.installed
	@LD_PRELOAD="$$($(CC) -print-file-name=libasan.so)" \
		ASAN_OPTIONS=detect_leaks=0:suppressions=$(CURDIR)/tests/support/sanitized/suppressions.txt \
		UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc \
		PYTHONPATH=$(CURDIR)/tests/support/sanitized GEARTRAIN_EXTENSION=$(CURDIR)/build/sanitize/_geartrain_records.abi3.so \
		$(BIN)/python -m pytest -q --capture sys --timeout 120 --hypothesis-profile quick $(TWIN_TESTS) $(ARGS)

build/sanitize/.installed: pyproject.toml $(NATIVE) | $(STAMP)
	@echo "test-sanitize: building the module with -fsanitize=$(SANITIZE)"
	@$(PIP) install --quiet --no-deps --upgrade --target build/sanitize \
		--config-settings=cmake.define.GEARTRAIN_SANITIZE=$(SANITIZE) .
	@test -f build/sanitize/geartrain/native/geartrain.so && test -f build/sanitize/_geartrain_records.abi3.so || { echo "test-sanitize: there is no C compiler, or no headers of Python" >&2; exit 1; }
	@touch $@

lint: $(STAMP)
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy --no-error-summary
	$(BIN)/lint-imports
	@# Not together with sanitizers: these make compilers warn of what is no fault.
	@command -v $(CC) >/dev/null || { echo "lint: no C compiler, the C is not checked"; exit 0; }; \
		headers=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("include"))'); \
		for file in $(wildcard native/*.c extension/*.c); do \
			$(CC) $(C_FLAGS) -isystem $$headers -O2 -Werror -c -o /dev/null $$file || exit 1; done

format: $(STAMP)
	$(BIN)/ruff check --quiet --fix .
	$(BIN)/ruff format .

# ARGS: `$(BIN)/python -m benchmarks --help`. The page in docs/ is written by ARGS='--markdown docs/benchmarks.md'.
bench: $(STAMP) $(PEERS_STAMP)
	@$(BIN)/python -m benchmarks $(ARGS)

# Only benchmarks with gates; exit code 1 where one is missed by more than the noise that was measured.
bench-gates: $(STAMP)
	@$(BIN)/python -m benchmarks --gates $(ARGS)

# Where they cannot be installed, the page says that they did not take part.
$(PEERS_STAMP): benchmarks/peers/requirements.txt | $(STAMP)
	@echo "bench: installing task queues into $(PEERS) (half a minute; longer on a slow network)"
	@rm -rf $(PEERS)
	@$(BIN)/python -m venv --without-pip $(PEERS)
	@if $(PIP) --python $(PEERS)/bin/python install --quiet -r benchmarks/peers/requirements.txt; then touch $@; \
		else echo "bench: they could not be installed, and will not take part" >&2; fi

clean:
	rm -rf $(VENV) build dist .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
