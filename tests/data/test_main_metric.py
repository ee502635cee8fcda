"""The main metric of a task card: it orders tables, and changes no result."""

from __future__ import annotations

import pytest

from f2vbench.adapters.registry import ADAPTERS, adapter_for
from f2vbench.data.task_cards import TaskCard, card_hash, load_card
from f2vbench.metrics.names import CARD_METRICS

TEXTS = dict.fromkeys(("title", "labels", "source", "terms", "citation", "obtain"), "x")


def card(kind: str, **keys: object) -> TaskCard:
    classes = [{"name": name, "meaning": name} for name in "abc"]
    values = {"name": "grades", "family": "classification", "layout": "class_folders", "classes": classes}
    return TaskCard.model_validate(values | {"label_kind": kind} | TEXTS | keys)


def test_it_comes_first_and_keeps_the_others() -> None:
    classification = adapter_for("classification")
    assert classification.main_metrics_of(card("ordinal")) == classification.main_metrics
    chosen = card("ordinal", main_metric="quadratic_kappa")
    assert classification.main_metrics_of(chosen) == ("quadratic_kappa", *classification.main_metrics)
    assert classification.main_metrics_of(card("nominal", main_metric="brier"))[0] == "brier"
    assert load_card("phantom-grade").main_metric == "quadratic_kappa"


def test_units_of_a_card_stay_valid_when_its_main_metric_changes() -> None:
    assert card_hash(card("ordinal", main_metric="quadratic_kappa")) == card_hash(card("ordinal"))


def test_every_default_metric_of_a_family_can_be_chosen() -> None:
    for family in CARD_METRICS:
        assert set(adapter_for(family).main_metrics) <= set(CARD_METRICS[family])
    assert set(CARD_METRICS) <= set(ADAPTERS)


@pytest.mark.parametrize(
    ("kind", "keys", "problem"),
    [
        ("nominal", {"main_metric": "quadratic_kappa"}, "quadratic_kappa needs grades: set label_kind: ordinal"),
        ("ordinal", {"main_metric": "kappa"}, "'kappa' must be one of auroc"),
        (
            "ordinal",
            {"family": "retrieval", "classes": [], "label_kind": None, "main_metric": "auroc"},
            "is a key of the",
        ),
    ],
)
def test_a_metric_that_the_task_does_not_have_is_refused(kind: str, keys: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        card(kind, **keys)
