# What a person types. Everything is set up on first use and only what has changed is done again.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV := .venv
PYTHON_BIN := $(CURDIR)/$(VENV)/bin/python
PEERS_BIN := $(CURDIR)/.venvs/peers/bin/python
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
CARGO_DENY := $(VENV)/bin/cargo-deny

# What maturin tells PyO3; other commands must say the same, or PyO3 is built again at every turn.
export PYO3_PYTHON := $(PYTHON_BIN)
SIGNATURE = import sys; print("cpython-%d.%d-64bit" % sys.version_info[:2])
AS_MATURIN = PYO3_BUILD_EXTENSION_MODULE=1 PYO3_ENVIRONMENT_SIGNATURE="$$($(PYTHON_BIN) -c '$(SIGNATURE)')"

WORKSPACE_SOURCES := Cargo.toml Cargo.lock rust-toolchain.toml $(shell find crates proto -type f 2>/dev/null)
wheel_sources = $(WORKSPACE_SOURCES) $(shell find python/$(1) -type f ! -name '*.pyc' ! -name '*.so' 2>/dev/null)

.PHONY: help
help: ## Lists what can be made.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' $(MAKEFILE_LIST) | expand -t 16

.PHONY: demo
demo: setup ## Starts the Greeter server and calls it from Python and from Rust.
	@cargo build --quiet -p farcall-examples --bins
	@$(PYTHON_BIN) scripts/demo.py --rust-bin $(TARGET)/debug

# The files of tests, two at a time: much of their time is spent waiting.
SIDE_BY_SIDE := -n 2 --dist loadfile

# The programs that pytest starts are built with the tests, so that crates have the same features and are built once.
.PHONY: test
test: setup peers ## Runs the whole test suite: Rust, Python, examples, interoperation.
	cargo test --workspace --no-fail-fast
	cargo build --workspace --bins --tests
	FARCALL_PEERS_PYTHON=$(PEERS_BIN) FARCALL_RUST_BIN=$(TARGET)/debug $(PYTHON_BIN) -m pytest $(SIDE_BY_SIDE)

.PHONY: lint
lint: setup $(CARGO_DENY) ## Formatting, clippy, rustdoc, licences, ruff, mypy: warnings are errors.
	cargo fmt --all --check
	$(AS_MATURIN) cargo clippy --workspace --all-targets -- -D warnings
	$(AS_MATURIN) RUSTDOCFLAGS="-D warnings" cargo doc --quiet --workspace --no-deps
	$(CARGO_DENY) --log-level warn check licenses bans sources
	$(PYTHON_BIN) -m ruff check .
	$(PYTHON_BIN) -m ruff format --check .
	$(PYTHON_BIN) -m mypy

.PHONY: advisories
advisories: $(CARGO_DENY) ## Checks dependencies against the advisory database (fetched from the network).
	$(CARGO_DENY) check advisories

.PHONY: format
format: setup ## Formats the Rust and the Python.
	cargo fmt --all
	$(PYTHON_BIN) -m ruff check --fix-only --exit-zero .
	$(PYTHON_BIN) -m ruff format .

# `make wheels FOR="python3.12 python3.14t"`: for other Pythons than the one of .venv; a wheel is for one version.
FOR := $(PYTHON_BIN)
WHEELS_FOR := $(foreach python,$(FOR),-i $(python))

.PHONY: wheels
wheels: $(VENV)/dev.stamp ## Builds the release wheels for this Python into dist/, and those that stand in for grpcio.
	rm -rf dist && mkdir -p dist
	cd python/farcall && $(PYTHON_BIN) -m maturin build --release --strip $(WHEELS_FOR) -o $(CURDIR)/dist
	cd python/farcall-tools && $(PYTHON_BIN) -m maturin build --release --strip $(WHEELS_FOR) -o $(CURDIR)/dist
	@$(PYTHON_BIN) scripts/stand_in_wheels.py dist >/dev/null
	@ls -l dist

# `make bench ONLY=rust-unary,rust-echo SECONDS=1 ROUNDS=1`: only works whose key has one of the words. What the words
# leave out is not built either: without "python" among them no wheels.
COMMA := ,
ONLY :=
SECONDS := 3
ROUNDS := 3
BENCH_PYTHON := $(if $(ONLY),$(findstring python,$(ONLY)),python)
BENCH_COMPILER := $(if $(ONLY),$(findstring compiler,$(ONLY)),compiler)
BENCH_RUST := $(if $(ONLY),$(filter-out python% compiler%,$(subst $(COMMA), ,$(ONLY))),rust)
BENCH_BIN := $(or $(CARGO_TARGET_DIR),$(CURDIR)/bench/rust/target)/release
# A directory of .proto files for the compilers; without one the package in requirements/corpus.txt.
CORPUS :=
BENCH_CORPUS := $(or $(CORPUS),build/bench/corpus)

.PHONY: bench
bench: $(if $(BENCH_PYTHON),wheels peers,$(VENV)/dev.stamp) ## Measures Farcall beside grpcio and tonic, in turns; takes minutes.
	$(if $(BENCH_COMPILER),@$(MAKE) bench-compiler)
	$(if $(BENCH_RUST),cd bench/rust && cargo build --locked --release --quiet)
	$(if $(BENCH_PYTHON),@test -d .venvs/bench || $(PYTHON_BIN) -m venv .venvs/bench)
	$(if $(BENCH_PYTHON),@.venvs/bench/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/bench.txt)
	$(if $(BENCH_PYTHON),@.venvs/bench/bin/python -m pip install --quiet --disable-pip-version-check --force-reinstall --no-index --no-deps dist/*.whl)
	$(if $(BENCH_RUST)$(BENCH_PYTHON),@$(PYTHON_BIN) bench/run.py --only "$(ONLY)" --seconds $(SECONDS) --rounds $(ROUNDS) \
		$(if $(BENCH_RUST),--rust-bin $(BENCH_BIN)) \
		$(if $(BENCH_PYTHON),--ours-python .venvs/bench/bin/python --peers-python $(PEERS_BIN) --wheel dist/farcall-*.whl))

.PHONY: bench-compiler
bench-compiler: peers setup # Of farcall only the finder is used, which the wheel of `setup` has.
	cargo build --locked --release --quiet -p farcall-protoc
	rm -rf build/bench/wheels
	cd python/farcall-tools && $(PYTHON_BIN) -m maturin build --quiet --release --strip -i $(PYTHON_BIN) -o $(CURDIR)/build/bench/wheels
	@test -d .venvs/bench || $(PYTHON_BIN) -m venv .venvs/bench
	@.venvs/bench/bin/python -m pip install --quiet --disable-pip-version-check --force-reinstall --no-index --no-deps \
		build/bench/wheels/*.whl build/wheels/farcall/*.whl
	$(if $(CORPUS),,@test -d $(BENCH_CORPUS) || $(PYTHON_BIN) -m pip install --quiet --disable-pip-version-check --no-deps --target $(BENCH_CORPUS) -r requirements/corpus.txt)
	@$(PYTHON_BIN) bench/compiler.py --ours-python .venvs/bench/bin/python --peers-python $(PEERS_BIN) \
		--protoc $(TARGET)/release/farcall-protoc --corpus $(BENCH_CORPUS) --rounds $(ROUNDS) --out build/bench

# A free-threaded Python, for 3.14 or later: `make free-threaded FREE_THREADED=/path/to/python3.14t`.
# Tried, for pyenv has names on the path that lead nowhere.
FREE_THREADED := $(shell for it in python3.15t python3.14t; do "$$it" -c '' 2>/dev/null && echo "$$it" && break; done)
FREE_THREADED_BIN := $(CURDIR)/.venvs/free-threaded/bin/python

.PHONY: free-threaded
free-threaded: ## Tests the wheel on a Python without a global lock, if there is one.
ifeq ($(FREE_THREADED),)
	@echo "free-threaded: skipped, for there is no python3.14t here"
else
	@test -x $(FREE_THREADED_BIN) || $(FREE_THREADED) -m venv .venvs/free-threaded
	$(FREE_THREADED_BIN) -m pip install --quiet --disable-pip-version-check -r requirements/free-threaded.txt
	@rm -rf build/wheels-free-threaded && mkdir -p build/wheels-free-threaded
	cd python/farcall && PYO3_PYTHON=$(FREE_THREADED_BIN) $(FREE_THREADED_BIN) -m maturin build --quiet \
		-i $(FREE_THREADED_BIN) -o $(CURDIR)/build/wheels-free-threaded
	$(FREE_THREADED_BIN) -m pip install --quiet --disable-pip-version-check --no-index --no-deps --force-reinstall \
		build/wheels-free-threaded/*.whl
	$(FREE_THREADED_BIN) -m pytest $(SIDE_BY_SIDE) tests/python
endif

HAS_VALGRIND := $(shell command -v valgrind)
GUARD_TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/bench/guard/target)

.PHONY: guard
guard: $(if $(HAS_VALGRIND),$(VENV)/dev.stamp) ## Counts the engine's instructions and holds them against those kept; WRITE=1 keeps these.
ifeq ($(HAS_VALGRIND),)
	@echo "guard: skipped, for there is no valgrind here"
else
	cd bench/guard && cargo build --locked --release --quiet
	@$(PYTHON_BIN) bench/guard/run.py $(GUARD_TARGET)/release/farcall-guard $(if $(WRITE),--write)
endif

SEEDS := 100000
FIRST := 0

.PHONY: sim
sim: ## Plays SEEDS=n simulated worlds from seed FIRST=n on.
	@cargo build --quiet --release -p farcall-sim
	@$(TARGET)/release/farcall-sim $(SEEDS) $(FIRST)

CLIENTS := 200
SERVERS := 40

.PHONY: fleet
fleet: ## Plays fleets of CLIENTS=n channels and SERVERS=n servers through faults, and draws docs/fleet anew.
	@cargo build --quiet --release -p farcall-sim
	@$(TARGET)/release/farcall-fleet docs/fleet $(CLIENTS) $(SERVERS)

MINUTES := 30

.PHONY: soak
soak: setup ## Runs client and server at load for MINUTES=n, with cuts and cancellations, then all forks; says what leaks.
	$(PYTHON_BIN) tests/endurance/soak.py --seconds $$(($(MINUTES) * 60))
	$(PYTHON_BIN) tests/endurance/forks.py

STAND_INS := grpcio grpcio_tools grpcio_status grpcio_health_checking grpcio_reflection

.PHONY: ecosystem
ecosystem: setup ## Installs popular packages over our wheels and makes a real call through each; needs the index.
	@$(PYTHON_BIN) scripts/stand_in_wheels.py build/wheels/stand-ins >/dev/null
	@$(PYTHON_BIN) tests/python/ecosystem/table.py build/wheels/farcall/*.whl build/wheels/farcall-tools/*.whl \
		$(foreach name,$(STAND_INS),build/wheels/stand-ins/$(name)-[0-9]*.whl)

.PHONY: clean
clean: ## Removes everything that was built or installed here.
	rm -rf $(VENV) .venvs .tools build dist target bench/rust/target bench/guard/target

# Set-up, in the order of need.

.PHONY: setup
setup: $(VENV)/farcall.stamp $(VENV)/farcall-tools.stamp ## Makes .venv with the tools and our two wheels (unoptimised).

.PHONY: peers
peers: .venvs/peers/peers.stamp ## Makes .venvs/peers, where grpcio and grpclib live.

.PHONY: prerequisites
prerequisites:
	@scripts/check-prerequisites.sh >/dev/null

$(VENV)/dev.stamp: requirements/dev.txt | prerequisites
	"$$(scripts/check-prerequisites.sh)" -m venv --clear $(VENV)
	$(PYTHON_BIN) -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

.venvs/peers/peers.stamp: requirements/peers.txt | prerequisites
	"$$(scripts/check-prerequisites.sh)" -m venv --clear .venvs/peers
	$(PEERS_BIN) -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# Built as a user's wheel is and installed as a user would, so that a file the wheel forgot is a failed test.
define install_wheel
	@rm -rf build/wheels/$(1) && mkdir -p build/wheels/$(1)
	cd python/$(1) && $(PYTHON_BIN) -m maturin build --quiet -i $(PYTHON_BIN) -o $(CURDIR)/build/wheels/$(1)
	$(PYTHON_BIN) -m pip install --quiet --disable-pip-version-check --no-index --no-deps --force-reinstall build/wheels/$(1)/*.whl
	@touch $@
endef

$(VENV)/farcall.stamp: $(VENV)/dev.stamp $(call wheel_sources,farcall)
	$(call install_wheel,farcall)

$(VENV)/farcall-tools.stamp: $(VENV)/dev.stamp $(call wheel_sources,farcall-tools)
	$(call install_wheel,farcall-tools)

$(CARGO_DENY): requirements/lint.txt $(VENV)/dev.stamp
	$(PYTHON_BIN) -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@
