"""Units of regression and survival from embeddings to metrics that resamples of patients reproduce."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from f2vbench.adapters.base import CompletedUnit
from f2vbench.adapters.registry import adapter_for
from f2vbench.adapters.stored_head import TrainedHead
from f2vbench.analysis.metric_inputs import metric_inputs
from f2vbench.analysis.paired_predictions import pair_cases
from f2vbench.config.run import RunSettings
from f2vbench.data.episodes import DRAWS, Episode
from f2vbench.data.task_cards import TaskCard
from f2vbench.encoders.model_argument import parse_model
from f2vbench.errors import DataError, SettingsError

TEXTS = dict.fromkeys(("title", "labels", "source", "terms", "citation", "obtain"), "x")
CARDS = {
    "regression": TaskCard.model_validate(
        {"name": "ages", "family": "regression", "layout": "outcome_table", "unit": "years"} | TEXTS
    ),
    "survival": TaskCard.model_validate(
        {"name": "strokes", "family": "survival", "layout": "outcome_table", "unit": "years", "horizon": 5} | TEXTS
    ),
}
PATIENTS = 60


def index(family: str) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Images of 60 patients, and embeddings in which one direction carries the label."""
    draw = np.random.default_rng(0)
    signal = np.repeat(draw.normal(size=PATIENTS), 2)
    rows = pd.DataFrame({"patient": np.repeat([f"p{n:03}" for n in range(PATIENTS)], 2), "split": ""})
    rows["image"] = [f"{patient}_{eye}" for patient, eye in zip(rows.patient, ["l", "r"] * PATIENTS, strict=True)]
    vectors = 0.4 * draw.normal(size=(len(rows), 12))
    vectors[:, 0] += signal
    if family == "regression":
        rows["value"] = [repr(60 + 10 * x) for x in signal.tolist()]
    else:
        end = np.repeat(draw.uniform(3, 9, PATIENTS), 2)
        progression = np.repeat(draw.exponential(size=PATIENTS), 2) * 5 * np.exp(-1.5 * signal)
        rows["time"] = [repr(x) for x in np.minimum(progression, end).tolist()]
        rows["event"] = (progression <= end).astype(int).astype(str)
    return rows, dict(zip(rows.image, vectors.astype(np.float32), strict=True))


class Context:
    """What an adapter reads of a unit."""

    def __init__(self, family: str, protocol: str, model: str = "thumbnail", vectors: dict[str, Any] | None = None):
        self.index, own = index(family)
        self.vectors = own if vectors is None else vectors
        self.task = SimpleNamespace(card=CARDS[family])
        self.model, self.settings = parse_model(model), RunSettings(task=["ages"], seeds=[0])
        self.unit = SimpleNamespace(protocol=protocol, encoder=model)
        self.arrays: dict[str, np.ndarray] = {}

    def embedding_reader(self) -> Any:
        return lambda images: np.array([self.vectors[image] for image in images])

    def store_head(self, head: TrainedHead) -> None:
        self.head = head

    def store_predictions(self, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
        self.arrays = arrays
        return {"sha256": "0" * 64, "bytes": 1}


def run(family: str, protocol: str, model: str = "thumbnail", shots: int | None = None) -> tuple[CompletedUnit, Any]:
    """The completed unit, and its record with the function that loads its predictions."""
    if family == "survival":
        pytest.importorskip("sksurv", reason='needs pip install "f2vbench[survival]"')
    context = Context(family, protocol, model)
    episode: Episode = DRAWS[family](context.index, CARDS[family], protocol, shots, 0)
    completed = adapter_for(family).run_unit(context, episode)
    patients = context.index.set_index("image")["patient"]
    stored = {"test": list(episode.test), "patients": patients[list(episode.test)].tolist()}
    unit = {"encoder": model, "task": "x", "protocol": protocol, "shots": shots, "seed": 0}
    return completed, ({"unit": unit, "result": {**completed.result, "episode": stored}}, lambda record: context.arrays)


@pytest.mark.parametrize("protocol", ["supervised", "probe", "knn"])
def test_regression_learns_what_the_embeddings_know(protocol: str) -> None:
    completed, _ = run("regression", protocol)
    metrics = completed.result["metrics"]
    assert metrics["mae"] < 0.85 * metrics["mae_chance"]
    assert metrics["spearman"] > 0.5
    baseline, _ = run("regression", "supervised", "mean-label")
    of_mean = baseline.result["metrics"]
    assert of_mean["mae"] == metrics["mae_chance"]
    assert baseline.result["reasons"] == dict.fromkeys(("spearman", "pearson"), "all predicted numbers are equal")


@pytest.mark.parametrize("protocol", ["supervised", "probe"])
def test_survival_learns_what_the_embeddings_know(protocol: str) -> None:
    metrics = run("survival", protocol)[0].result["metrics"]
    assert metrics["uno_c"] > 0.65
    assert metrics["integrated_brier"] < metrics["integrated_brier_chance"]
    of_marginal = run("survival", "supervised", "mean-label")[0].result["metrics"]
    assert of_marginal["uno_c"] == of_marginal["harrell_c"] == of_marginal["auroc_at_horizon"] == 0.5
    assert of_marginal["integrated_brier"] == metrics["integrated_brier_chance"]


@pytest.mark.parametrize("family", ["regression", "survival"])
def test_every_metric_follows_from_what_is_stored(family: str) -> None:
    completed, (record, load) = run(family, "supervised")
    for name, value in completed.result["metrics"].items():
        if name.endswith("_chance"):
            continue
        inputs = metric_inputs(record, name, load)
        assert not isinstance(inputs, str), inputs
        whole = inputs.weighted_function()(np.ones((1, len(inputs.images))))[0]
        assert whole == pytest.approx(value, abs=1e-9)
        assert len(set(inputs.patients)) == len(inputs.images) / 2
        paired = pair_cases([record], [record], name, load)
        assert not isinstance(paired, str), paired


def test_few_shot_heads_use_few_images_and_stay_finite() -> None:
    for shots in (1, 4):
        metrics = run("regression", "few-shot", shots=shots)[0].result["metrics"]
        assert np.isfinite(metrics["mae"])
        assert np.isfinite(run("survival", "few-shot", shots=shots)[0].result["metrics"]["uno_c"])


def test_models_that_cannot_predict_numbers_are_left_out_with_a_reason() -> None:
    regression, settings = adapter_for("regression"), RunSettings(task=["ages"], seeds=[0])
    assert (
        regression.unsupported_reason(parse_model("tophat"), "supervised", settings)
        == "has no embedding for regression"
    )
    fusion = parse_model("thumbnail+colour")
    assert "not for regression" in str(regression.unsupported_reason(fusion, "supervised", settings))
    assert "looks at no image" in str(regression.unsupported_reason(parse_model("mean-label"), "probe", settings))
    tuned = RunSettings(task=["ages"], seeds=[0], finetune="full")
    reason = regression.unsupported_reason(parse_model("random"), "supervised", tuned)
    assert "omit finetune=full" in str(reason)


def test_embeddings_that_are_not_finite_are_an_error() -> None:
    context = Context("regression", "supervised")
    episode = DRAWS["regression"](context.index, CARDS["regression"], "supervised", None, 0)
    context.vectors[episode.test[0]] = np.full(12, np.nan, np.float32)
    with pytest.raises(DataError, match=f"{episode.test[0]} contains values that are not finite"):
        adapter_for("regression").run_unit(context, episode)


def test_survival_without_its_extra_names_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sksurv", None)
    with pytest.raises(SettingsError, match=r'pip install "f2vbench\[survival\]"'):
        adapter_for("survival").unsupported_reason(
            parse_model("thumbnail"), "supervised", RunSettings(task=["strokes"], seeds=[0])
        )


def test_cards_of_the_simulated_tasks_are_of_these_families(tmp_path: Path) -> None:
    from f2vbench.data.task_cards import load_card

    assert load_card("phantom-age").family == load_card("phantom-cup").family == "regression"
    assert load_card("phantom-survival").horizon == 5
