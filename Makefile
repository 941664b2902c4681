# The one place that says how each thing is done; .ci/run and README.md call these targets.
python := .venv/bin/python
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## bring uv, Python 3.14t and the locked packages into this folder
	@scripts/setup

install: ## the same for a server, without what develops and tests
	@scripts/setup "" "" app

run: setup ## serve the app on http://127.0.0.1:8000 (settings: environment variables, CONTACTS_...)
	@$(python) -m app serve

twins: setup ## run the app beside its twins in Flask and FastAPI, and show screens and code side by side
	@$(python) -m twins

test: setup ## run every test, those in the browser too
	@scripts/test $(PYTEST)

unit: setup ## run the tests that need no browser (PYTEST='-k search' picks some)
	@$(python) -m pytest -p tests.summary_plugin tests $(PYTEST)

e2e: setup ## run the tests in the browser
	@browser=$$($(python) scripts/provide_browser.py) && \
	E2E_BROWSER="$$browser" $(python) -m pytest -p tests.summary_plugin e2e $(PYTEST)

conformance: setup ## run the tests of docs/contract.md against the app, its twins and a cluster, and write docs/conformance.md (SERVER=cluster tests one)
	@browser=$$($(python) scripts/provide_browser.py) && \
	E2E_BROWSER="$$browser" $(python) scripts/conformance.py $(SERVER)

check: setup ## check format, style, types, routes and templates, and what is committed
	$(python) -m ruff format --check
	$(python) -m ruff check
	$(python) -m mypy
	CONTACTS_STORE=memory: PYTHONPATH=. .venv/bin/chirp check app.main:create_app --warnings-as-errors
	$(python) scripts/check_tree.py

claims: setup ## test what comparisons of the three say, and write docs/claims.md (CLAIMS='memory openapi' tests some)
	@scripts/setup 3.14+gil .venv-gil
	@browser=$$($(python) scripts/provide_browser.py) && E2E_BROWSER="$$browser" $(python) -m bench.claims $(CLAIMS)

bench: setup ## race the app against its twins for a quarter of an hour (leave the computer alone); writes bench/results/race.md
	@scripts/setup 3.14+gil .venv-gil
	@$(python) -m bench.race $(BENCH)

durability: setup ## kill the server a thousand times under load and look for what is lost (KILLS=5000 for more; some minutes)
	DURABILITY_KILLS=$(or $(KILLS),1000) $(python) -m pytest tests/test_durability.py -s -k killed

soak: setup ## use the server for an hour and see that nothing grows (MINUTES=5 for less); writes bench/results/soak.md
	PYTHONPATH=. $(python) bench/soak.py --minutes $(or $(MINUTES),60)

scale: setup ## measure how speed depends on the size, the dashboard, a thousand windows, a restart (some minutes)
	PYTHONPATH=. $(python) bench/size.py $(BENCH)
	PYTHONPATH=. $(python) bench/dashboard.py
	PYTHONPATH=. $(python) bench/live.py
	PYTHONPATH=. $(python) bench/restart.py

format: setup ## format the code, and mend what ruff can mend
	$(python) -m ruff format
	$(python) -m ruff check --fix

gil: ## run the tests that need no browser on Python 3.14 with its GIL
	@scripts/setup 3.14+gil .venv-gil
	@.venv-gil/bin/python -m pytest -p tests.summary_plugin tests $(PYTEST)

audit: setup ## ask whether a locked package has a known vulnerability (says so when nobody could be asked)
	@$(python) scripts/audit.py

lock: setup ## lock the packages of pyproject.toml again (LOCK=--upgrade for their newest versions)
	scripts/lock $(LOCK)

clean: ## remove what set-up and the tools made; the database stays
	rm -rf .venv* .tools uv.lock .mypy_cache .pytest_cache .ruff_cache .hypothesis test-results
	find . -name __pycache__ -prune -exec rm -rf {} +

.PHONY: help setup install run twins test unit e2e conformance claims bench durability soak scale check format gil audit lock clean
