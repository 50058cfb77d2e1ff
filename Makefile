# The front door. `make` builds; `make demo` and `make test` also install what is missing.
# Everything that is compiled is described in meson.build; this file only names the ways in.

BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
SOURCES = $(shell git ls-files '*.c' '*.h')
NINJA = ninja -C

SMOKES = smoke-use-cases smoke-cold-start smoke-repro-fix smoke-parallel smoke-inspect \
	smoke-review-eval smoke-daily-loop smoke-real-repo

.PHONY: test-kvm bench-kvm
.PHONY: all deps deps-test deps-lint demo test check asan $(SMOKES) test-hosts lint format gen first-run bench fuzz soak torture wheel deb test-deb install uninstall clean

all: $(BUILD)/build.ninja
	@$(NINJA) $(BUILD)
	@ln -sfn $(BUILD)/src/cli/pyro pyro

$(BUILD)/build.ninja:
	@tools/deps check build
	meson setup $(BUILD) $(MESONFLAGS)

# Dependencies: tools/packages is the list. Instant when nothing is missing.
deps:
	@tools/deps install build run
deps-test:
	@tools/deps install build run test
deps-lint:
	@tools/deps install build run test lint

# From a fresh machine to the first command in a virtual machine; its output is the last line.
demo: deps
	@$(MAKE) --no-print-directory all
	@./pyro env pull debian:12
	@version=$$(./pyro run debian:12 -- git --version) && echo "$$version"

# Every test there is; the last line is the sum.
test: deps-test
	@$(MAKE) --no-print-directory all
	@tools/run-tests --build $(BUILD) all

# The tests that need no virtual machine, in under a minute.
check: all
	@tools/run-tests --build $(BUILD) check

# Tests under the address and undefined-behaviour sanitizers.
asan: build-asan/build.ninja
	@$(NINJA) build-asan
	@tools/run-tests --build build-asan --label asan asan
build-asan/build.ninja:
	@tools/deps check build
	meson setup build-asan -Db_sanitize=address,undefined -Db_lundef=false

# The chat hosts, the official MCP clients and the Inspector against the server; npm fetches them.
test-hosts: deps-test
	@$(MAKE) --no-print-directory all
	-@command -v npm >/dev/null || tools/deps install hosts
	@tools/run-tests --build $(BUILD) npm

# The suite of real guests under real KVM: on this machine where KVM works, else on an outer machine
# that emulates a processor which has it, where it takes long. SUITES: of tests/suites; TESTS: words of
# tests' names: make test-kvm [SUITES="vm sdk-vm"] [TESTS="jail test_kvm_as_found"]
test-kvm: deps-test
	@$(MAKE) --no-print-directory all
	@PYRO_BUILD=$(BUILD) tests/kvm/run --suites "$(SUITES)" $(TESTS)

# The table of `make bench` under real KVM: on this machine where KVM works, else on the outer machine,
# where only ratios mean something: make bench-kvm [ROUNDS=3] [PART=run]
bench-kvm: deps
	@$(MAKE) --no-print-directory all
	@$(NINJA) $(BUILD) bench/bench
	@export PYRO_ACCEL=kvm PYRO_BUILD=$(BUILD); \
	if ./pyro doctor --json | grep -q '"accel": "kvm"'; then \
		bench/run $(or $(ROUNDS),20) $(PART); \
	else \
		PYRO_TEST_OUTER=1 tests/kvm/machine --seconds 7200 bench/run $(or $(ROUNDS),3) $(PART); \
	fi

# What docs/use-cases says, played as a chat host, on the command line and in Python with real guests.
$(SMOKES): smoke-%: deps-test
	@$(MAKE) --no-print-directory all
	@PYRO_MUST_RUN=vm PYRO_BUILD=$(BUILD) tests/smoke/run $*

lint: deps-lint
	@tools/lint

format:
	clang-format -i $(SOURCES)

# Rewrites what is derived from the rows in ops/ and from tools/packages.
gen: all
	@$(NINJA) $(BUILD) gen
	@tools/deps readme

# docs/first-run.md and the picture in README.md: what a real first run shows. For its times' sake on
# a machine that does nothing else.
first-run: deps
	@$(MAKE) --no-print-directory all
	@./pyro env pull debian:12
	@PYRO_BUILD=$(BUILD) tools/first-run

bench: deps
	@$(MAKE) --no-print-directory all
	@PYRO_BUILD=$(BUILD) bench/run

fuzz: deps-lint
	@tools/fuzz

# Hundreds of runs in a row, and chat hosts side by side, none of which may fail, hang, leave
# anything or grow. Takes minutes.
soak: deps
	@$(MAKE) --no-print-directory all
	@PYRO_BUILD=$(BUILD) tests/vm/soak
	@PYRO_BUILD=$(BUILD) tests/mcp/soak

# A kill -9 at a random moment of every call, and a look whether workspaces keep their promises:
# make torture [ROUNDS=1000] [SEED=...]
torture: deps
	@$(MAKE) --no-print-directory all
	@PYRO_BUILD=$(BUILD) tests/torture/run "$(ROUNDS)" "$(SEED)"

# The Python package for pip; it uses the library that `make install` installs.
wheel:
	@python/backend.py $(BUILD)/wheel

# The Debian packages, into $(BUILD)/deb.
deb:
	@tools/deps install build deb
	@tools/deb $(BUILD)/deb
# The packages in a fresh Debian of their own: installed, used, replaced and purged. Needs root.
test-deb: deps-test deb
	@$(MAKE) --no-print-directory all
	@tools/run-tests --build $(BUILD) deb

install: all
	meson configure $(BUILD) -Dprefix=$(PREFIX)
	DESTDIR=$(DESTDIR) meson install -C $(BUILD)
	-@[ -n "$(DESTDIR)" ] || [ "$$(id -u)" -ne 0 ] || ldconfig

# Removes what was installed last from this build directory, also by a test.
uninstall:
	@$(NINJA) $(BUILD) uninstall

clean:
	rm -rf build build-asan build-gcc build-clang build-fuzz pyro
