# `make` lists the targets. On a fresh machine with Python 3.11 or later, `make serve` and `make test` need nothing before them.
ENVIRONMENT := .venv
PYTHON := $(ENVIRONMENT)/bin/python
# Programs that some tests drive besides Python packages, by their name in Debian, and the checker of accessibility that they load.
# Playwright's own driver needs one library that a small Debian lacks.
TEST_PROGRAMS := chromium npm prometheus
AXE := axe-core@4.11.0
COMPILE := $(PYTHON) -m uv --no-config pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --extra fleet pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help serve worker migrate test test-packages lint format lock openapi demo gallery bench load fuzz sbom house clean

help: ## List these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '  %-14s %s\n' "$$name" "$$text"; done

serve: $(ENVIRONMENT)/runtime.stamp ## Serve on PORT (default 8080), with data under RECEPTIVE_DATA_DIR (default ./data)
	exec $(PYTHON) -m gunicorn -c deploy/gunicorn.conf.py 'service.api:create_app()'

worker: $(ENVIRONMENT)/runtime.stamp ## Work on the jobs of a fleet (RECEPTIVE_BROKER_URL; docs/operations.md), with /livez and /metrics on PORT
	exec $(PYTHON) -m service.worker

migrate: $(ENVIRONMENT)/runtime.stamp ## Bring the store up to date without serving (serving does it for the embedded one)
	$(PYTHON) -m service.store.sql.migrate

test: $(ENVIRONMENT)/dev.stamp test-packages ## Run the tests (ARGS="-k lenet" for a few of them)
	$(PYTHON) -m pytest --numprocesses 2 --dist loadscope $(ARGS)

test-packages: ## Install what some tests drive (Chromium, Prometheus, axe-core), through apt when root and npm
	@missing=; for program in $(TEST_PROGRAMS); do command -v $$program >/dev/null || missing="$$missing $$program"; done; \
	/sbin/ldconfig -p 2>/dev/null | grep -q "libatomic\.so\.1" || missing="$$missing libatomic1"; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing$$missing"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null && missing=; \
	fi; \
	if [ -n "$$missing" ]; then echo "Not installed:$$missing. The tests that drive them are skipped unless they are found elsewhere."; fi
	@if [ ! -f tests/node_modules/axe-core/axe.min.js ] && command -v npm >/dev/null; then \
		npm install --silent --no-save --no-package-lock --no-audit --no-fund --ignore-scripts --prefix tests $(AXE) \
		|| echo "Not installed: axe-core. The tests that load it are skipped."; \
	fi

lint: $(ENVIRONMENT)/dev.stamp ## Check style and types
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m mypy

format: $(ENVIRONMENT)/dev.stamp ## Format the code and repair what can be repaired
	$(PYTHON) -m ruff check --fix
	$(PYTHON) -m ruff format

lock: $(ENVIRONMENT)/dev.stamp ## Compile the lock files from pyproject.toml (ARGS=--upgrade for newer versions)
	$(COMPILE) $(ARGS) -o requirements/runtime.txt
	$(COMPILE) $(ARGS) --group dev -c requirements/runtime.txt -o requirements/dev.txt

openapi: $(ENVIRONMENT)/runtime.stamp ## Regenerate openapi.yaml from the code
	$(PYTHON) -m service.api.openapi

demo: $(ENVIRONMENT)/runtime.stamp ## Post the example networks to the running service and save their reports and filter grid
	$(PYTHON) examples/demo.py $(ARGS)

gallery: $(ENVIRONMENT)/runtime.stamp ## Draw the first-layer filters of the examples (ARGS="--models FOLDER" for others too)
	PYTHONPATH=. $(PYTHON) examples/gallery.py $(ARGS)

bench: $(ENVIRONMENT)/runtime.stamp ## Measure costs as ratios, in one run (ARGS="--only vgg --no-http" for a few)
	PYTHONPATH=. $(PYTHON) benchmarks/bench.py $(ARGS)
	PYTHONPATH=. $(PYTHON) benchmarks/pictures.py

load: $(ENVIRONMENT)/runtime.stamp ## Put the service under load, on this machine (ARGS="--seconds 20 slow" for a short look at one)
	PYTHONPATH=. $(PYTHON) benchmarks/load.py $(ARGS)

fuzz: $(ENVIRONMENT)/dev.stamp ## Look for inputs that the service does not survive, for FUZZ_MINUTES (default 10)
	$(PYTHON) -m tests.fuzz

sbom: $(ENVIRONMENT)/dev.stamp ## Write the bill of materials of what is served (build/sbom.json, CycloneDX) from the lock file
	@mkdir -p build
	$(PYTHON) -m cyclonedx_py requirements --pyproject pyproject.toml --output-reproducible --of JSON -o build/sbom.json requirements/runtime.txt

house: ## Print how the code is built: sizes, circles, what the type checker cannot see
	@python3 benchmarks/house.py

clean: ## Remove the environment and the caches, never the data
	rm -rf $(ENVIRONMENT) tests/node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find service tests -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is as new as the last install, so an up-to-date environment costs nothing.
$(ENVIRONMENT)/runtime.stamp: requirements/runtime.txt deploy/environment
	@deploy/environment $(ENVIRONMENT) requirements/runtime.txt
	@touch $@

# The development lock holds the same versions and more, so it brings the runtime with it.
$(ENVIRONMENT)/dev.stamp: requirements/dev.txt requirements/runtime.txt deploy/environment
	@deploy/environment $(ENVIRONMENT) requirements/dev.txt
	@touch $(ENVIRONMENT)/runtime.stamp $@
