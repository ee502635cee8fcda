.PHONY: test lint

PYTHON ?= python

test:
	$(PYTHON) -m pytest -n auto --dist loadfile

lint:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy f2vbench
