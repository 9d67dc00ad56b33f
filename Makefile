PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-docs test-all scale fuzz lint docs clean

demo: .venv/installed
	$(BIN)/nasproxy demo

test: .venv/installed-test
	$(BIN)/python -m pytest -q -n 2 -m "not slow"

# the pages: their commands run, the site builds strictly, a browser opens the dashboard
test-docs: .venv/installed-docs
	$(BIN)/python -m pytest -q -n 2 -m slow tests/integration/test_docs.py \
		tests/integration/test_dashboard.py

# databases' programs are the system's to install (apt-get install postgresql mariadb-server);
# without them the tests that need them are skipped
test-all: .venv/installed-all
	$(BIN)/python -m pytest -q
	$(BIN)/python tests/reliability/faults.py --out results/reliability

scale: .venv/installed-all
	$(BIN)/python tests/scale/simulate.py all --out results/scale --picture docs/scale.svg

TARGET ?= manifest proxy run candidates verification timings trust calibration comparison \
	expert-record expert checkpoint space settings npz idx idx-gz table groups picture training \
	measurement ranking-record ranking weights study-training study-search bench
SECONDS ?= 60

fuzz: .venv/installed-test
	$(BIN)/python -m pip install --quiet atheris
	for name in $(TARGET); do $(BIN)/python tests/fuzz/harness.py $$name $(SECONDS) || exit 1; done

lint: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/installed-docs
	$(BIN)/mkdocs build --strict --config-file docs/site/mkdocs.yml

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/installed-test: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable ".[test,lint,dashboard,export,browser]"
	touch $@ .venv/installed

.venv/installed-all: .venv/installed-test
	$(BIN)/python -m pip install --quiet --editable ".[ray,postgres,mysql,grpc]"
	touch $@

.venv/installed-docs: .venv/installed-test
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	touch $@

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache
