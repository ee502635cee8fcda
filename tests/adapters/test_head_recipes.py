"""Which head a classification unit has, what its record keeps of the settings, and what the plan says about it."""

from __future__ import annotations

from typing import Any

import pytest

from f2vbench.adapters.classification import Classification
from f2vbench.config.parsing import build, parse
from f2vbench.config.run import RunSettings
from f2vbench.encoders.model_argument import parse_model
from f2vbench.errors import SettingsError

FEATURES = parse_model("timm:resnet18:untrained")
FUSION = parse_model("timm:resnet18:untrained+thumbnail")
# The keys that version 0.2 stored; a unit with exactly these remains valid.
PAPER_KEYS = {
    "widths", "fusion_width", "dropout", "label_smoothing", "batch_size", "epochs", "warmup_epochs", "learning_rate",
    "min_learning_rate", "weight_decay",
}  # fmt: skip


def settings_of(**values: Any) -> RunSettings:
    return build(RunSettings, {"task": "tiny", **values})


def test_head_is_a_group_with_a_short_form():
    assert settings_of().head.recipe == "mlp"
    assert parse(RunSettings, ["task=tiny", "head=paper"]) == parse(RunSettings, ["task=tiny", "head.recipe=paper"])
    assert settings_of(head="paper") == settings_of(head={"recipe": "paper"})
    with pytest.raises(SettingsError, match=r"head\.recipe=papr: must be one of mlp, paper; did you mean 'paper'"):
        parse(RunSettings, ["task=tiny", "head=papr"])
    with pytest.raises(SettingsError, match=r"head: `head\.epochs` is also set; keep one of the two"):
        parse(RunSettings, ["task=tiny", "head.epochs=3", "head=paper"])


@pytest.mark.parametrize("protocol", ["few-shot", "supervised"])
def test_records_keep_the_settings_of_the_recipe_that_is_used(protocol):
    adapter = Classification()
    mlp = adapter.recorded_settings(FEATURES, protocol, settings_of())
    assert mlp == {"precision": "auto", "head": {"recipe": "mlp"}}
    assert adapter.recorded_settings(FEATURES, protocol, settings_of(head={"epochs": 3}, select="last")) == mlp
    paper = adapter.recorded_settings(FEATURES, protocol, settings_of(head="paper"))
    assert set(paper["head"]) == PAPER_KEYS
    assert ("select" in paper) == (protocol == "few-shot")
    for model, values in ((FUSION, {}), (FEATURES, {"finetune": "full"})):
        with_default = adapter.recorded_settings(model, protocol, settings_of(**values))
        assert with_default["head"] == paper["head"], "fusions and trained encoders have the recipe of the papers"
        assert with_default == adapter.recorded_settings(model, protocol, settings_of(**values, head="paper"))


def test_an_untrained_head_does_not_depend_on_the_recipe():
    adapter = Classification()
    default, paper = (adapter.recorded_settings(FEATURES, "zero-shot", settings_of(head=h)) for h in ("mlp", "paper"))
    assert default == paper
    assert set(default["head"]) == PAPER_KEYS


def test_notes_name_unused_settings_and_heads_that_are_not_comparable():
    def notes(*models: Any, **values: Any) -> str:
        return " ".join(Classification().notes([(model, "few-shot") for model in models], settings_of(**values)))

    assert notes(FEATURES) == ""
    assert "head.epochs: not used with head.recipe=mlp" in notes(FEATURES, head={"epochs": 3})
    assert "use head=paper to compare fusions with their parts" in notes(FEATURES, FUSION)
    paper = notes(FEATURES, FUSION, head={"recipe": "paper", "epochs": 3})
    assert "not used with" not in paper
    assert "compare fusions" not in paper
    assert "the epoch is selected on the labelled validation images" in paper
