"""External validation of numbers and of masks: train on one data set, test on another one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from f2vbench import Benchmark, Results
from f2vbench.data.external_validation import join_tasks
from f2vbench.data.photographs import open_photograph
from f2vbench.data.task_cards import TaskCard
from f2vbench.data.task_data import TaskData, open_task
from f2vbench.errors import DataError, SettingsError
from f2vbench.utils.progress import Silent
from tests.data.test_numeric_episodes import SURVIVAL
from tests.data.test_numeric_episodes import index as numeric_index
from tests.helpers.eyes import write_eyes
from tests.helpers.mask_sets import save, structures, write_card, write_class_folders
from tests.helpers.patients import write_patients

AGES = {"family": "regression", "layout": "outcome_table", "options": {"table": "eyes.csv", "value": "age"}}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_regression_trains_on_one_data_set_and_tests_on_all_of_another(folder):
    for seed, name in enumerate(("near", "far")):
        write_patients(folder / name, 12, 25, seed)
        write_card(folder, name, **AGES, unit="years", split="official")
    data = {name: str(folder / name) for name in ("near", "far")}
    options = {"baselines": "mean-label", "shots": [4, "all"], "seeds": 1, "data": data, "jobs": 1}
    results = Benchmark(train="near", test="far", model="thumbnail", out=folder / "run", **options).run(Silent())
    task, ages = open_task("far", folder / "far"), pd.read_csv(folder / "far" / "eyes.csv").age
    assert {record["unit"]["task"] for record in results.records} == {"near-to-far"}
    for record in results.records:
        episode = record["result"]["episode"]
        assert sorted(episode["test"]) == sorted(f"far_{name}" for name in task.index.image)
        assert all(name.startswith("near_") for name in (*episode["support"], *episode["val"]))
        true = sorted(each["true"] for each in record["result"]["per_image"].values())
        assert true == sorted(ages.astype(float))
    assert Results.load(folder / "run").stored.task_data("near-to-far").fingerprint
    write_card(folder, "months", **AGES, unit="months", split="official")
    months = open_task("months", folder / "far")
    with pytest.raises(SettingsError, match=r"the units differ \(years and months\)"):
        join_tasks(open_task("near", folder / "near"), months)


def _survival(name: str, horizon: float = 5) -> TaskData:
    rows = numeric_index(SURVIVAL).assign(modality="CF", appearance="", path="", mask_path="", fov_path="", eye="")
    rows["sha256"] = name + rows["image"]
    rows["label_sha256"] = rows["fov_sha256"] = ""
    return TaskData(SURVIVAL.model_copy(update={"name": name, "horizon": horizon}), Path("x"), rows, name)


def test_survival_needs_the_same_horizon_and_leaves_out_the_same_pictures():
    train, test = _survival("a"), _survival("b")
    test.index.loc[:3, "sha256"] = train.index.loc[:3, "sha256"]
    joined = join_tasks(train, test)
    episode = joined.episode("supervised", None, 0)
    assert len(episode.test) == len(test.index)
    assert len(episode.support) + len(episode.val) == len(train.index) - 4
    assert any("4 training images left out" in note for note in joined.notes)
    with pytest.raises(SettingsError, match=r"the horizons differ \(5 years and 3 years\)"):
        join_tasks(train, _survival("c", horizon=3))
    grades = TaskCard.model_validate({**train.card.model_dump(), "family": "retrieval", "horizon": None, "unit": ""})
    gallery = TaskData(grades, Path("x"), test.index, "")
    with pytest.raises(SettingsError, match=r"the families differ \(survival and retrieval\)"):
        join_tasks(train, gallery)
    with pytest.raises(SettingsError, match="is a retrieval task"):
        join_tasks(gallery, gallery)


def test_vessels_of_two_data_sets_run_and_near_copies_are_refused(folder):
    write_eyes(folder / "near", 3)
    for number, path in enumerate(sorted(write_eyes(folder / "all", 6).rglob("*.png"))):
        if number % 6 > 2:
            (folder / "far" / path.parent.name).mkdir(parents=True, exist_ok=True)
            path.rename(folder / "far" / path.parent.name / path.name)
    for name in ("near", "far", "same"):
        write_card(folder, name, layout="folder")
    data = {name: str(folder / name) for name in ("near", "far")}
    options = {"model": "tophat", "baselines": "none", "shots": [0, 2], "seeds": 1, "jobs": 1, "image_size": 64}
    options |= {"decoder": {"crop": 32}}
    results = Benchmark(train="near", test="far", data=data, out=folder / "run", **options).run(Silent())
    for record in results.records:
        assert record["result"]["episode"]["test"] == [f"far_eye{number:02d}" for number in (3, 4, 5)]
        assert set(record["result"]["episode"]["support"]) <= {f"near_eye{number:02d}" for number in range(3)}
    near = open_task("near", folder / "near")
    image = results.records[0]["result"]["episode"]["test"][0]
    stored = Results.load(folder / "run").stored
    assert stored.task_data("near-to-far").index.image.tolist()[0] == image
    eyes = open_photograph(near.index.iloc[0])
    dark = (eyes.rgb * 0.9).astype(np.uint8)
    save(folder / "same" / "images" / "copy.png", dark)
    save(folder / "same" / "masks" / "copy.png", eyes.vessels.astype(np.uint8) * 255)
    with pytest.raises(DataError, match="near-duplicates of test images among 1 training image"):
        join_tasks(near, open_task("same", folder / "same"))


def test_masks_of_several_classes_may_be_stored_in_two_ways(folder):
    write_class_folders(folder / "near", images=4)
    write_card(folder, "near", mask_classes=[{"name": "disc"}, {"name": "cup"}], unlabelled="negative")
    for number in range(8, 11):
        image, masks = structures(number)
        save(folder / "far" / "images" / f"q{number}.png", image)
        save(folder / "far" / "masks" / f"q{number}.png", masks["disc"].astype(np.uint8) + masks["cup"])
    values = [{"name": "disc", "values": [1, 2]}, {"name": "cup", "values": [2]}]
    write_card(folder, "far", mask_classes=values)
    write_card(folder, "turned", mask_classes=values[::-1])
    near, far = (open_task(name, folder / name) for name in ("near", "far"))
    joined = join_tasks(near, far, near_copies="allow")
    episode = joined.episode("few-shot", 2, 0)
    assert set(episode.test) == {"far_q8", "far_q9", "far_q10"}
    rows = joined.index.set_index("image", drop=False)
    for name, number in (("far_q8", 8), ("near_p01", 1)):
        annotation = open_photograph(rows.loc[name]).annotation
        for position, each in enumerate(("disc", "cup")):
            np.testing.assert_array_equal(annotation.mask(position), structures(number)[1][each])
    other = open_task("turned", folder / "far")
    with pytest.raises(SettingsError, match=r"the classes differ \(disc, cup and cup, disc\)"):
        join_tasks(near, other)
    write_card(folder, "far", mask_classes=[values[0] | {"values": [1, 2, 3]}, values[1]])
    assert join_tasks(near, open_task("far", folder / "far"), "allow").fingerprint != joined.fingerprint
