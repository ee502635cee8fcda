.PHONY: demo test lint

PYTHON ?= python
DEMO = .venv/bin/f2vbench

demo: .venv/installed
	F2VBENCH_PATH=reports/demo $(DEMO) run @reports/demo/run.yaml
	F2VBENCH_PATH=reports/demo $(DEMO) report run=runs/demo out=runs/demo/report
	@echo "The report: runs/demo/report/report.html"

# Remade when the requirements change; the package itself is installed as it lies here.
.venv/installed: setup.cfg pyproject.toml
	@echo "Installing into .venv: a minute or two, most of it PyTorch."
	python3 -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -e .
	touch $@

test:
	$(PYTHON) -m pytest -n auto --dist loadfile

lint:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy f2vbench
