"""The examples in the docstrings of stats/, metrics/ and the public names of the package."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil

import pytest

import f2vbench

PACKAGES = ("f2vbench.stats", "f2vbench.metrics")
MODULES = [
    info.name
    for package in PACKAGES
    for info in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}.")
]


def public_callables(module):
    """(name, object) of the public functions, and of the public methods of public classes, that a module defines."""
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(value):
            yield name, value
        elif inspect.isclass(value):
            for method_name, member in vars(value).items():
                function = member.__func__ if isinstance(member, classmethod | staticmethod) else member
                if inspect.isfunction(function) and not method_name.startswith("_") and function.__doc__:
                    yield f"{name}.{method_name}", function


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_a_module_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_every_public_function_has_an_example(name):
    without = [each for each, value in public_callables(importlib.import_module(name)) if ">>>" not in value.__doc__]
    assert without == []


@pytest.mark.parametrize("name", f2vbench.__all__)
def test_examples_of_a_public_name_run(name):
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner()
    for example in finder.find(getattr(f2vbench, name), name):
        assert runner.run(example).failed == 0
