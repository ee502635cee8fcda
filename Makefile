.PHONY: demo test coverage lint docs notebooks constraints

PYTHON ?= python
DEMO = .venv/bin/f2vbench

demo: .venv/installed
	F2VBENCH_PATH=reports/demo $(DEMO) run @reports/demo/run.yaml
	F2VBENCH_PATH=reports/demo $(DEMO) report run=runs/demo out=runs/demo/report
	@echo "The report: runs/demo/report/report.html"

# Remade when the requirements change; the package itself is installed in editable mode.
.venv/installed: setup.cfg pyproject.toml
	@echo "Installing into .venv: a minute or two, most of it PyTorch."
	python3 -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -e ".[imagenet]"
	touch $@

# One thread for each worker: more only compete for the cores.
test:
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n auto --dist loadfile --durations=10

coverage:
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n auto --dist loadfile --cov=f2vbench --cov-report=term:skip-covered

lint:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy f2vbench
	lint-imports

docs:
	$(PYTHON) -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "The documentation: docs/_build/html/index.html"

notebooks:
	$(PYTHON) -m pytest -n 2 --nbmake --nbmake-timeout=300 --no-header -p no:doctest examples

# The versions that pip chooses today for all extras, without the local part of versions such as 2.13.0+cpu.
constraints:
	python3 -m venv --clear .venv-constraints
	.venv-constraints/bin/python -m pip install --quiet --disable-pip-version-check ".[all,dev]"
	.venv-constraints/bin/python -m pip freeze --exclude f2vbench | sed 's/+[a-z0-9.]*$$//' > containers/constraints.txt
