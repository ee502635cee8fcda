"""Episodes of regression and survival: support images cover the range of the labels, and patients stay apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from f2vbench.data.episodes import draw_numeric_episode
from f2vbench.data.task_cards import TaskCard
from f2vbench.errors import DataError

TEXTS = dict.fromkeys(("title", "labels", "source", "terms", "citation", "obtain"), "x")
REGRESSION = TaskCard.model_validate(
    {"name": "ages", "family": "regression", "layout": "outcome_table", "unit": "years"} | TEXTS
)
SURVIVAL = TaskCard.model_validate(
    {"name": "strokes", "family": "survival", "layout": "outcome_table", "unit": "years", "horizon": 5} | TEXTS
)


def index(card: TaskCard, patients: int = 60) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    rows = pd.DataFrame({"patient": np.repeat([f"p{n:03}" for n in range(patients)], 2)})
    rows["image"] = [f"{patient}_{eye}" for patient, eye in zip(rows.patient, ["l", "r"] * patients, strict=True)]
    rows["split"] = ""
    numbers = [repr(float(number)) for number in draw.uniform(20, 90, len(rows))]
    if card is REGRESSION:
        return rows.assign(value=numbers)
    return rows.assign(time=numbers, event=[str(int(n % 10 < 3)) for n in range(len(rows))])


def test_support_images_are_one_of_each_group_of_the_sorted_values() -> None:
    rows = index(REGRESSION)
    whole = draw_numeric_episode(rows, REGRESSION, "supervised", None, 0)
    few = draw_numeric_episode(rows, REGRESSION, "few-shot", 8, 0)
    values = rows.set_index("image")["value"].astype(float)
    ordered = values[list(whole.support)].sort_values()
    groups = [list(ordered.index[len(ordered) * i // 8 : len(ordered) * (i + 1) // 8]) for i in range(8)]
    assert sorted(sum(image in group for image in few.support) for group in groups) == [1] * 8
    patients = rows.set_index("image")["patient"]
    assert patients[list(few.support)].nunique() == 8
    assert not set(patients[list(whole.support)]) & set(patients[list(whole.test)])
    assert few.test == whole.test


def test_the_share_of_events_is_that_of_the_training_split_and_never_zero() -> None:
    rows = index(SURVIVAL)
    event = rows.set_index("image")["event"] == "1"
    whole = draw_numeric_episode(rows, SURVIVAL, "supervised", None, 0)
    share = event[list(whole.support)].mean()
    for shots in (1, 2, 10, 40):
        few = draw_numeric_episode(rows, SURVIVAL, "few-shot", shots, 0)
        assert len(set(few.support)) == shots
        assert event[list(few.support)].sum() == max(round(shots * share), 1)


def test_an_episode_depends_on_the_seed_and_not_on_the_order_of_rows() -> None:
    rows = index(REGRESSION)
    first = draw_numeric_episode(rows, REGRESSION, "few-shot", 6, 0)
    assert draw_numeric_episode(rows.sample(frac=1, random_state=1), REGRESSION, "few-shot", 6, 0) == first
    assert draw_numeric_episode(rows, REGRESSION, "probe", 6, 0) == first
    assert draw_numeric_episode(rows, REGRESSION, "few-shot", 6, 1).support != first.support


def test_images_without_a_label_are_not_drawn() -> None:
    rows = index(REGRESSION)
    rows.loc[::5, "value"] = ""
    whole = draw_numeric_episode(rows, REGRESSION, "supervised", None, 0)
    assert not set(rows["image"][::5]) & {*whole.support, *whole.val, *whole.test}


def test_more_shots_than_images_and_splits_without_an_event_are_refused() -> None:
    with pytest.raises(DataError, match="shots=500, but the training split has"):
        draw_numeric_episode(index(REGRESSION), REGRESSION, "few-shot", 500, 0)
    card = SURVIVAL.model_copy(update={"split": "official"})
    rows = index(SURVIVAL).assign(split=["train"] * 60 + ["test"] * 60)
    rows.loc[60:, "event"] = "0"
    with pytest.raises(DataError, match="strokes: test split: no event in 60 images: add images with an event, or use"):
        draw_numeric_episode(rows, card, "supervised", None, 0)
