"""Settings that would take all memory or time are errors."""

from __future__ import annotations

from itertools import pairwise

import pytest

from f2vbench.config.parsing import build, parse
from f2vbench.config.run import RunSettings
from f2vbench.errors import SettingsError
from f2vbench.utils.yaml_text import load_yaml

LINES = [f"{name}: &{name} [{', '.join([f'*{inner}'] * 9)}]" for inner, name in pairwise("abcdefghi")]
BOMB = "\n".join(["a: &a [x, x, x, x, x, x, x, x, x]", *LINES])


@pytest.mark.parametrize("text", [BOMB, "a: &a [*a]", "a: &a {b: *a}", "[" * 5000, "a: 2020-13-45", "a: " + "9" * 5000])
def test_yaml_without_end_is_refused(tmp_path, text):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(SettingsError, match=r"a\.yaml: not valid YAML"):
        parse(RunSettings, ["task=folder", f"@{tmp_path / 'a.yaml'}"])


def test_usual_aliases_are_read():
    assert load_yaml("a: &x {lr: 1}\nb: {<<: *x, d: 2}\nc: *x") == {
        "a": {"lr": 1},
        "b": {"lr": 1, "d": 2},
        "c": {"lr": 1},
    }
    assert load_yaml("") is None


@pytest.mark.parametrize(
    "argument",
    [
        "shots=0-999999999",
        "seeds=999999999",
        "seeds=0-99999",
        "shots=5-2",
        "head.widths=1-99999999",
        "seeds=" + "9" * 5000,
    ],
)
def test_ranges_are_bounded(argument):
    with pytest.raises(SettingsError, match=argument.partition("=")[0]):
        parse(RunSettings, ["task=folder", argument])


@pytest.mark.parametrize("value", ["1e400", "inf", "nan", "-inf"])
def test_numbers_are_finite(value):
    with pytest.raises(SettingsError, match=r"decoder\.learning_rate"):
        parse(RunSettings, ["task=folder", f"decoder.learning_rate={value}"])


@pytest.mark.parametrize("key", ["task", "model", "shots", "seeds", "preset", "image_size", "device", "out", "decoder"])
def test_a_mapping_where_a_word_is_expected_is_refused(key):
    with pytest.raises(SettingsError, match=key):
        build(RunSettings, {"task": "folder", key: {"a": {"b": [1]}}})


def test_the_crop_of_a_preset_follows_the_image_size():
    assert parse(RunSettings, ["task=odir-dr", "image_size=224"]).decoder.crop == 224
    assert parse(RunSettings, ["task=odir-dr", "image_size=224", "preset=quick"]).decoder.crop == 128
    with pytest.raises(SettingsError, match="must not be larger than image_size=224"):
        parse(RunSettings, ["task=rite", "image_size=224", "decoder.crop=256"])
