# Every target sets up what it needs and does nothing twice. All it takes is Python 3.11 or newer, a C compiler, and a
# package registry to install from. Works with GNU make 3.81 and newer, so also with that of macOS.
#
#   PYTHON=...   the interpreter to make the environment with (default: what .ci/pythons --one finds)
#   VENV=...     where that environment is (default: .venv); `make run` keeps its messages there, in data/
#   ARGS=...     further arguments for the program behind run, test, fuzz, soak, and all that begin with bench
#   WORKERS=...  how many tests run at the same time (default: 6); 0 is one after the other, in one process

PYTHON ?=
VENV ?= .venv
ARGS ?=
FUZZ_SECONDS ?= 60
CYCLES ?= 1000
STATES ?= 5000
WORKERS ?= 6

PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check -q
# A test that hangs is ended. Most of what tests do is wait: so there are more workers than cores. The tests of one file
# follow each other in one worker, which starts the brokers that they share, and those that take long come first.
PYTEST := -m pytest --timeout=300 -p no:benchmark
SIDE_BY_SIDE := -n $(WORKERS) --dist loadfile --no-loadscope-reorder
STAMPS := $(VENV)/stamps

CORE := $(wildcard csrc/*.pyx csrc/*.h fastbroker/core/*.pxd bench/generator/*.[ch] bench/generator/*.pyx) setup.py
THIN := $(shell find fastbroker -name '*.py' -o -name '*.pyi')

# The tests that need no other programs; slow builds run them too, but not over the transports that have no compiled code of
# their own, nor what has none at all.
OWN_TESTS := tests/unit tests/protocol -k 'not unix and not wss'
COMPILED_TESTS := $(SIDE_BY_SIDE) $(OWN_TESTS) --hypothesis-profile=checked --ignore-glob='*/test_bench_*'

.DEFAULT_GOAL := help
.PHONY: help run chat build test crash power-loss soak lint debug-test sanitize coverage fuzz wheel wheels clean \
	bench bench-compare bench-durability bench-curves bench-report bench-micro bench-micro-save bench-instructions
.DELETE_ON_ERROR:

help: ## say what there is
	@echo "make <target>:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' Makefile

run: build ## start the broker on its default address, 127.0.0.1:61613, and say how to try it
	@exec $(PY) examples/hello.py $(VENV)/bin/fastbroker --data-dir $(VENV)/data $(ARGS)

chat: build ## start the example chat; open the address that it prints in two browser windows
	@$(PY) examples/chat/pages.py
	@echo "Open http://127.0.0.1:15674/ in a browser."
	@exec $(VENV)/bin/fastbroker serve -c examples/chat/chat.toml $(ARGS)

build: $(STAMPS)/installed $(STAMPS)/built ## compile the core in place, into an environment of its own (.venv)

test: build $(STAMPS)/tools ## run the whole test suite
	@echo "== installing the clients that the broker is tested with"
	$(PY) tests/interop/install_peers.py
	@echo "== installing the browser that the chat is tested with"
	$(PY) tests/browser/install_browser.py
	$(PY) $(PYTEST) $(SIDE_BY_SIDE) $(ARGS)

crash: build $(STAMPS)/tools ## kill the broker CYCLES (1000) times, and see that it keeps what it promised
	FASTBROKER_CRASHES=$(CYCLES) $(PY) -m pytest -p no:benchmark --timeout=0 -s \
		tests/system/test_crash.py tests/system/test_journal_tools.py -k outlives_kill_9 $(ARGS)

power-loss: build $(STAMPS)/tools ## recover STATES (5000) states of the disk that a power cut may leave
	FASTBROKER_POWER_STATES=$(STATES) $(PY) -m pytest -p no:benchmark --timeout=0 tests/system/test_power_loss.py $(ARGS)

soak: build $(STAMPS)/tools ## the tests that take long, and far more of what is tried at random
	$(PY) $(PYTEST) $(SIDE_BY_SIDE) --timeout=3600 --hypothesis-profile=soak -m 'soak or hypothesis' $(ARGS)

lint: build $(STAMPS)/tools ## ruff, mypy, and whether the .pyi files tell the truth
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -m mypy .ci/check_wheel.py .ci/wheels.py
	$(PY) -m mypy.stubtest --concise --allowlist .ci/stubtest-allowlist \
		--ignore-missing-stub --ignore-positional-only --ignore-disjoint-bases \
		fastbroker.bench.generator $(patsubst fastbroker/core/%.pyi,fastbroker.core.%,$(wildcard fastbroker/core/*.pyi))

# ---- builds with switches, each in its own directory ----

# Only what is installed and what PYTHONPATH names is imported, so the build in place is not taken by mistake.
in_variant = PYTHONSAFEPATH=1 PYTHONPATH="$(CURDIR)/build/$(1)/lib:$(CURDIR)" FASTBROKER_TEST_DEADLINE=30
is_variant = -c "import fastbroker.core.hub as hub; assert '/build/$(1)/' in hub.__file__, hub.__file__"

debug-test: build/debug/built $(STAMPS)/installed $(STAMPS)/tools ## build with bounds checks and C asserts; run the unit and protocol tests on it
	@$(call in_variant,debug) $(PY) $(call is_variant,debug)
	$(call in_variant,debug) $(PY) $(PYTEST) $(COMPILED_TESTS) $(ARGS)

sanitize: build/sanitize/built $(STAMPS)/installed $(STAMPS)/tools ## the same with the address and undefined-behaviour sanitizers
	@$(call in_variant,sanitize) $(sanitized) $(PY) $(call is_variant,sanitize)
	$(call in_variant,sanitize) $(sanitized) $(PY) $(PYTEST) $(COMPILED_TESTS) $(ARGS)

# The sanitizer must be there before the interpreter is, and the C++ library with it, or the first exception that a library
# in C++ throws finds no handler; the interpreter's own leaks at exit are not ours.
CC_FOR_PYTHON = $(firstword $(shell $(PY) -c "import os, sysconfig; print(os.environ.get('CC') or sysconfig.get_config_var('CC'))"))
sanitized = LD_PRELOAD="$$($(CC_FOR_PYTHON) -print-file-name=libasan.so) $$($(CC_FOR_PYTHON) -print-file-name=libstdc++.so.6)" \
	PYTHONMALLOC=malloc \
	ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1

build/debug/built: switch = FASTBROKER_DEBUG
build/sanitize/built: switch = FASTBROKER_SANITIZE
build/debug/built build/sanitize/built: build/%/built: $(CORE) $(THIN) $(STAMPS)/ready
	@echo "== compiling the core, $*"
	rm -rf build/$*/lib/fastbroker/*.py
	$(switch)=1 $(PY) setup.py -q build --build-base build/$* --build-lib build/$*/lib
	@touch $@

# coverage.py's Cython plugin wants sources, C files and modules in one tree: a copy of this one.
TREE := build/coverage/tree

coverage: $(STAMPS)/tools $(STAMPS)/ready ## line coverage of the core and of the thin layer, report in build/coverage/html
	@mkdir -p $(TREE)
	tar cf - --exclude '*.so' --exclude __pycache__ --exclude build \
		setup.py pyproject.toml LICENSE csrc fastbroker tests bench docs | tar xf - -C $(TREE)
	cd $(TREE) && FASTBROKER_COVERAGE=1 "$(abspath $(PY))" setup.py -q build_ext --inplace
	rm -rf $(TREE)/build/coverage
	cd $(TREE) && PYTHONPATH="$(CURDIR)/$(TREE)" FASTBROKER_TEST_DEADLINE=30 \
		"$(abspath $(PY))" -m coverage run $(PYTEST) $(OWN_TESTS) $(ARGS)
	cd $(TREE) && "$(abspath $(PY))" -m coverage combine -q && "$(abspath $(PY))" -m coverage html -q --title fastbroker
	@rm -rf build/coverage/html && cp -R $(TREE)/build/coverage/html build/coverage/html
	cd $(TREE) && "$(abspath $(PY))" -m coverage report

# ---- more ----

fuzz: build $(STAMPS)/tools ## the tests that feed it garbage, FUZZ_SECONDS (60) for each
	FASTBROKER_FUZZ_SECONDS=$(FUZZ_SECONDS) $(PY) -m pytest tests/fuzz -v $(ARGS)

# ---- benchmarks; bench/README.md says how to read them ----

MICRO := bench/micro --benchmark-compare --benchmark-only --benchmark-quiet

bench: build $(STAMPS)/tools ## measure the broker beside a raw relay and nats-server, over every transport, in storms; say which goals are met
	$(PY) -m bench.run $(ARGS)
	$(PY) -m bench.run --set transports $(ARGS)
	$(PY) -m bench.run --set storms $(ARGS)

bench-compare: build $(STAMPS)/tools ## the same scenarios on every other broker that can be installed here, and what not all of them can do
	$(PY) -m bench.peers.install
	$(PY) -m bench.run --set compare $(ARGS)
	$(PY) -m bench.run --set messaging $(ARGS)

bench-durability: build $(STAMPS)/tools ## what must survive, beside every broker that keeps it on a disk, and that disk; restarts
	$(PY) -m bench.peers.install nats-server rabbitmq activemq artemis
	$(PY) -m bench.run --set durability $(ARGS)

bench-curves: build $(STAMPS)/tools ## cost against subscribers, body size, destinations, patterns, connections, depth
	$(PY) -m bench.curves $(ARGS)

bench-report: build $(STAMPS)/tools ## write docs/benchmarks.md and its charts from the last results
	$(PY) -m bench.report --readme README.md $(or $(ARGS),$(sort $(wildcard build/bench/*.json)))

bench-micro: build $(STAMPS)/tools ## time parser, route, trie, encoding and queue by themselves, and compare with what was saved
	$(PY) -m pytest $(MICRO) $(ARGS)

bench-micro-save: build $(STAMPS)/tools ## the same, and save the times to compare with
	$(PY) -m pytest $(MICRO) --benchmark-autosave $(ARGS)

bench-instructions: build $(STAMPS)/tools ## count their instructions with valgrind and compare with bench/micro/instructions.json
	$(PY) -m bench.micro.instructions $(ARGS)

# ---- wheels ----

wheel: $(STAMPS)/tools ## build one wheel, install it into an empty environment and serve a message
	$(PY) .ci/wheels.py "$$($(PY) -c 'import sys; print(sys._base_executable)')"

wheels: $(STAMPS)/tools build/wheels/built ## the same for every CPython from 3.11 on that is found on this machine

build/wheels/built: $(CORE) $(THIN) pyproject.toml MANIFEST.in LICENSE .ci/wheels.py .ci/check_wheel.py .ci/pythons
	$(PY) .ci/wheels.py
	@touch $@

clean: ## remove everything that these targets have made
	rm -rf .venv build dist bench/build *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache .benchmarks .coverage
	rm -f fastbroker/core/*.so fastbroker/bench/*.so
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- the environment, step by step ----

$(STAMPS)/ready: pyproject.toml
	@if [ ! -x $(PY) ]; then \
		python="$(PYTHON)"; \
		[ -n "$$python" ] || python=$$(.ci/pythons --one) || exit 1; \
		echo "== making $(VENV) with $$python"; \
		"$$python" -m venv $(VENV); \
	fi
	@echo "== installing what the build needs"
	@$(PIP) install -U 'pip>=25.1'
	@$(PIP) install --group build
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/built: $(CORE) $(STAMPS)/ready
	@echo "== compiling the core"
	$(PY) setup.py -q build_ext --inplace
	@touch $@

$(STAMPS)/installed: pyproject.toml $(STAMPS)/ready | $(STAMPS)/built
	@echo "== installing what the broker needs"
	@FASTBROKER_THIN=1 PYTHONWARNINGS=ignore $(PIP) install --no-build-isolation --editable .
	@touch $@

$(STAMPS)/tools: pyproject.toml $(STAMPS)/ready
	@echo "== installing what the tests need"
	@$(PIP) install --group dev
	@touch $@
