"""YAML whose mappings must not repeat a key."""

from __future__ import annotations

import pytest
import yaml

from f2vbench.utils.yaml_text import load_yaml


@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3", "x: {a: 1, a: 2}", "- {a: 1, 'a': 2}", "a: 1\n? a\n: 2"])
def test_a_key_twice_is_an_error_that_names_it(text):
    with pytest.raises(yaml.YAMLError, match="the key 'a' is in lines"):
        load_yaml(text)


def test_other_text_is_read_as_pyyaml_does():
    for text in ("a: {b: [1, 2.5, yes]}", "- a\n- a", "x: &x {a: 1}\ny: {<<: *x, a: 2}", "1: a\n'1': b"):
        assert load_yaml(text) == yaml.safe_load(text)


def test_python_objects_and_deep_nesting_are_errors():
    for text in ("!!python/object/apply:os.system ['true']", "[" * 5000):
        with pytest.raises(yaml.YAMLError):
            load_yaml(text)
