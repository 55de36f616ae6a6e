# Everything works from a clean clone with Python 3.11 or newer; each target installs what it needs into .venv.
.DEFAULT_GOAL := help
.PHONY: help demo test slow laws peers-postgres regress check linters fuzz canaries races kills tamper lock clean environment

VENV := .venv/bin
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# What was imported once is compiled; without, every process of the tests compiles what it imports again.
unexport PYTHONDONTWRITEBYTECODE

# The tests of one file share what they set up; files wait for servers and processes more than they compute.
# `tests/conftest.py` says which files come first.
SIDE_BY_SIDE := -n 3 --dist loadfile --no-loadscope-reorder

help:
	@echo 'make demo    hoopx on this machine: embedded PostgreSQL, a scripted tour, nothing left behind'
	@echo 'make test    the tests, against real servers (ARGS="-k word" selects)'
	@echo 'make peers-postgres   servers of PostgreSQL 12 to 18 for the tests that meet each version'
	@echo 'make regress PostgreSQL'"'"'s own regression suite through the broker: slow (ARGS="--keep DIRECTORY" keeps outputs)'
	@echo 'make check   linters, types, layers, policy tests, fresh completions'
	@echo 'make fuzz    random and mutated peers and statements against the laws (ARGS="--minutes 60 --seed 7" goes on)'
	@echo 'make canaries random databases and statements that try to get a hidden value out (ARGS="--minutes 30 --seed 7")'
	@echo 'make slow    what takes long and changes seldom: the compiled engine, installations from templates, more versions of PostgreSQL'
	@echo 'make laws    the laws held to ten times as many examples as make test takes (HOOPX_DEPTH=100 for more)'
	@echo 'make races   everybody at once at requests for approval, 100000 times (ARGS="--seed 7 --state postgres")'
	@echo 'make kills   the data path killed under load 1000 times, held to the server'"'"'s own log (ARGS="--rounds 5000 --seed 7")'
	@echo 'make tamper  evidence changed at random 100000 times, and a gigabyte of it read in little memory (ARGS="--seed 7")'
	@echo 'make bench   what hoopx costs, beside the direct way: a quarter of an hour (ARGS="--quick" two minutes)'
	@echo 'make compiled   the wire engine, compiled in place by mypyc (needs a C compiler)'
	@echo 'make wheels  a wheel for every platform and a compiled one for this, in dist/'
	@echo 'make lock    renew requirements.lock from pyproject.toml (UPGRADE=--upgrade takes newer versions)'
	@echo 'make clean   remove what the others made'

environment:
	@.ci/environment

demo: environment
	@$(VENV)/hoopx demo $(ARGS)

test: environment
	@.ci/peers
	@.ci/in-memory $(VENV)/pytest $(SIDE_BY_SIDE) $(ARGS)

peers-postgres: environment
	@.ci/peers every-postgres

regress: environment
	@.ci/peers
	@.ci/regress-source
	@nice $(VENV)/python -m tests.regress $(ARGS)

check: linters
	$(VENV)/pytest -q tests/golden/test_cli_help_golden.py

# Without what `make test` tells too.
linters: environment
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy -p hoopx_cli -p hoopx_broker -p hoopx_plugins -p tests -p benchmarks
	$(VENV)/lint-imports
	$(VENV)/hoopx policy test policies

fuzz: environment
	@$(VENV)/python -m tests.fuzz $(ARGS)

canaries: environment
	@.ci/peers
	@$(VENV)/python -m tests.canaries $(ARGS)

# Ten minutes on a file; on PostgreSQL as many take hours, so say how many.
slow: environment
	@.ci/peers
	@.ci/in-memory $(VENV)/pytest -m slow $(ARGS)

laws: environment
	@.ci/peers
	@HOOPX_DEPTH=$${HOOPX_DEPTH:-10} .ci/in-memory $(VENV)/pytest --timeout 3600 $(SIDE_BY_SIDE) tests/laws $(ARGS)

races: environment
	@.ci/in-memory $(VENV)/python -m tests.races $(ARGS)
	@.ci/in-memory $(VENV)/python -m tests.races.takeover

kills: environment
	@.ci/in-memory $(VENV)/python -m tests.kills $(ARGS)
	@.ci/peers
	@HOOPX_DEPTH=10 .ci/in-memory $(VENV)/pytest -q tests/journeys/test_recording_faults.py

tamper: environment
	@.ci/in-memory $(VENV)/python -m tests.tampering $(ARGS)
	@$(VENV)/python -m tests.tampering.large

# uv resolves for every platform and Python version at once, which pip cannot.
# It reads no pip configuration, so pip's own index is handed on.
lock: environment
	@$(VENV)/pip install --quiet --require-hashes -r .ci/uv.lock
	@UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$$($(VENV)/pip config get global.index-url 2>/dev/null || true)}"; \
	test -z "$$UV_DEFAULT_INDEX" || export UV_DEFAULT_INDEX; \
	test -n "$$UV_DEFAULT_INDEX" || unset UV_DEFAULT_INDEX; \
	$(VENV)/uv pip compile pyproject.toml --quiet --universal --all-extras --group dev --generate-hashes \
	  --no-header $(UPGRADE) -o requirements.lock >/dev/null

clean:
	find broker -name '*.so' -delete
	rm -rf broker/build .venv .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist tests/peers/*/node_modules tests/peers/glewlwyd_server tests/peers/mariadb_server tests/peers/litewitness tests/peers/proxies tests/regress/source
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Compiled, the loops over rows take a fourth to a tenth of the time, and a small statement two thirds. A library goes
# before its source, so after a change compile again, or take it away by `make clean`.
.PHONY: compiled wheels
compiled: environment
	@$(VENV)/python hatch_build.py

wheels: environment
	@$(VENV)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	@HOOPX_COMPILE=1 $(VENV)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	@ls dist

.PHONY: bench
bench: environment
	@.ci/peers bench
	@$(VENV)/python -m benchmarks.run $(ARGS)
