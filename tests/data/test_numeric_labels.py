"""Numbers, times and events of an index: read, refused where they mean nothing, and divided by their size."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from f2vbench.data.index import build_index, survey_index
from f2vbench.data.numeric_labels import label_texts, problems_of_labels, strata
from f2vbench.data.splits import assign_splits, read_split, write_split
from f2vbench.data.task_cards import TaskCard, card_hash
from f2vbench.errors import DataError, SettingsError

TEXTS = dict.fromkeys(("title", "labels", "source", "terms", "citation", "obtain"), "x")


def card(family: str = "regression", **keys: object) -> TaskCard:
    numbers = {"unit": "years"} | ({"horizon": 5} if family == "survival" else {})
    options = {"value": "age"} if family == "regression" else {"time": "years", "event": "event"}
    values = {"name": "ages", "family": family, "layout": "outcome_table", "options": options} | numbers | TEXTS
    return TaskCard.model_validate(values | keys)


def folder(path: Path, rows: list[str], head: str = "image,patient,age,years,event") -> Path:
    path.mkdir(exist_ok=True)
    for number, row in enumerate(rows):
        cv2.imwrite(str(path / row.split(",")[0]), np.full((8, 8, 3), number + 1, np.uint8))
    (path / "systemic.csv").write_text("\n".join([head, *rows]) + "\n")
    return path


def test_numbers_are_text_in_their_shortest_form_whatever_their_spelling(tmp_path: Path) -> None:
    place = folder(tmp_path, ["a.png,1,63,2.50,1", "b.png,2,63.0,1e1,0.0", "c.png,3,-0.5,0.25,0"])
    assert build_index(card(), place)["value"].tolist() == ["63.0", "63.0", "-0.5"]
    index = build_index(card("survival"), place)
    assert index["time"].tolist() == ["2.5", "10.0", "0.25"]
    assert index["event"].tolist() == ["1", "0", "0"]
    assert "label" not in index
    assert label_texts(index) == ["2.5;1", "10.0;0", "0.25;0"]


@pytest.mark.parametrize(
    ("family", "row", "problem"),
    [
        ("regression", "a.png,1,old,1,1", "value 'old' is not a number; leave the cell empty for a missing number"),
        ("regression", 'a.png,1,"63,5",1,1', "value '63,5' is not a number; use a point for decimals"),
        ("regression", "a.png,1,inf,1,1", "value 'inf' must be a finite number"),
        ("regression", "a.png,1,1_0,1,1", "value '1_0' must be a finite number"),
        ("survival", "a.png,1,63,0,1", "time '0' must be above 0"),
        ("survival", "a.png,1,63,-2,0", "time '-2' must be above 0"),
        ("survival", "a.png,1,63,2,2", r"event '2' must be 1 \(observed\) or 0"),
        ("survival", "a.png,1,63,2,", "has a time and no event"),
        ("survival", "a.png,1,63,,1", "has an event and no time"),
    ],
)
def test_a_label_that_is_no_number_of_the_family_is_named_with_its_image(
    tmp_path: Path, family: str, row: str, problem: str
) -> None:
    place = folder(tmp_path, [row, "b.png,2,70,3,1"])
    with pytest.raises(DataError, match=rf"a\.png: {problem}"):
        build_index(card(family), place)
    index, problems = survey_index(card(family), place)
    assert len(problems) == 1
    assert index.attrs["unlabelled"] == ["a"]


def test_images_without_a_number_are_left_out_where_the_card_says_so(tmp_path: Path) -> None:
    place = folder(tmp_path, ["a.png,1,,,", "b.png,2,70,3,1"])
    for family in ("regression", "survival"):
        index = build_index(card(family, unlabelled="leave-out"), place)
        assert index["image"].tolist() == ["b"]
        assert "left out, no label: a" in index.attrs["notes"]


def test_options_name_the_columns_of_one_label(tmp_path: Path) -> None:
    place = folder(tmp_path, ["a.png,1,63,2,1"])
    for options in ({"value": "age", "time": "years"}, {"time": "years"}, {"value": "age", "outcome": "event"}):
        with pytest.raises(SettingsError, match="name the columns of one label"):
            build_index(card(options=options), place)


def test_strata_are_fifths_of_values_and_halves_of_times() -> None:
    values = pd.DataFrame({"value": [repr(float(n)) for n in range(10)] + [""]})
    assert strata(values).tolist() == [f"fifth {1 + n // 2}" for n in range(10)] + [""]
    equal = pd.DataFrame({"value": ["1.0"] * 7 + ["2.0"]})
    assert strata(equal).iloc[:7].nunique() == 1
    times = pd.DataFrame({"time": ["1.0", "2.0", "3.0", "4.0"], "event": ["1", "1", "0", "0"]})
    assert strata(times).tolist() == ["event, early", "event, late", "censored, early", "censored, late"]


def test_a_random_split_keeps_patients_together_and_the_distribution_of_the_values(tmp_path: Path) -> None:
    rows = [f"{n:03}.png,{n // 2},{n},{1 + n},{int(n % 3 == 0)}" for n in range(120)]
    place = folder(tmp_path, rows)
    for family in ("regression", "survival"):
        index = build_index(card(family), place)
        splits = assign_splits(index, card(family), 0)
        assert index.assign(split=index["image"].map(splits)).groupby("patient")["split"].nunique().max() == 1
        assert splits.value_counts().to_dict() == pytest.approx({"train": 66, "test": 36, "val": 18}, abs=4)
        shares = pd.crosstab(index["image"].map(splits), strata(index), normalize="index")
        assert (shares.max() - shares.min()).max() < 0.12
    file = tmp_path / "split.csv"
    write_split(file, index, splits)
    assert read_split(file, index, "ages").equals(splits.rename("split"))
    with pytest.raises(DataError, match=r"label of '000' is '1\.0;1', in the data '9\.0;1'"):
        read_split(file, index.assign(time="9.0"), "ages")


def test_numbers_from_which_nothing_can_be_learnt_are_refused() -> None:
    constant = pd.DataFrame({"value": ["2.0"] * 3})
    assert problems_of_labels(constant) == ["all 3 images have the value 2.0: add images with other values"]
    censored = pd.DataFrame({"time": ["1.0", "2.0"], "event": ["0", "0"]})
    assert problems_of_labels(censored) == ["no event in 2 images: add images with an event"]
    assert problems_of_labels(censored.assign(event=["0", "1"])) == []


@pytest.mark.parametrize(
    ("family", "keys", "problem"),
    [
        ("regression", {"unit": ""}, "unit: required in the family regression"),
        ("regression", {"label_kind": "survival"}, "label_kind: survival does not fit the family regression"),
        ("regression", {"horizon": 5}, "horizon is a key of the family survival"),
        ("regression", {"classes": [{"name": "a", "meaning": "b"}]}, "classes: a card of the family regression has no"),
        ("survival", {"unit": "year"}, "unit: 'year': the unit of time, required in the family survival: years"),
        ("survival", {"horizon": None}, "horizon: required in the family survival"),
        ("survival", {"horizon": -1}, "greater than 0"),
        ("retrieval", {}, "unit is a key of the families regression and survival"),
        ("classification", {"label_kind": "regression"}, "label_kind: regression does not fit the family classific"),
    ],
)
def test_a_card_whose_keys_do_not_fit_its_numbers_is_refused(
    family: str, keys: dict[str, object], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        card(family, **keys)


def test_the_horizon_is_part_of_the_card_hash_and_the_unit_is_not() -> None:
    assert card_hash(card("survival")) != card_hash(card("survival", horizon=2))
    assert card_hash(card()) == card_hash(card(unit="months"))
    assert card(label_kind="regression").label_kind == "regression"
