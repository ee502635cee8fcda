"""Near-copies of test images in the training set of an external validation are an error, unless they are allowed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from f2vbench.config.run import RunSettings
from f2vbench.data.external_validation import join_tasks
from f2vbench.data.task_data import TaskData, open_task
from f2vbench.errors import DataError, SettingsError
from f2vbench.phantom.cohort import Cohort
from f2vbench.utils.progress import Silent
from tests.helpers.small_eyes import save
from tests.helpers.small_sets import write_table

CARD = """title: Mine
family: classification
layout: outcome_table
label_kind: binary
classes:
- {name: none, read: ["0"], meaning: none}
- {name: stroke, read: ["1"], meaning: stroke}
patients: each name is a person
labels: x
source: x
terms: x
citation: x
obtain: x
"""


def write_set(folder, pictures):
    rows = [["image", "patient", "stroke"]]
    for position, picture in enumerate(pictures):
        save(folder / f"i{position}.png", picture)
        rows.append([f"i{position}.png", f"p{position}", str(position % 2)])
    write_table(folder / "systemic.csv", rows)


@pytest.fixture
def tasks(tmp_path, monkeypatch) -> tuple[TaskData, TaskData]:
    """Eight training and eight test photographs; two test photographs are copies of training photographs."""
    eyes = [eye.photograph().image for eye in Cohort(3, 7, size=256)]
    mirrored = np.ascontiguousarray(eyes[2][:, ::-1])
    turned = np.array(Image.fromarray(eyes[5]).rotate(6, Image.Resampling.BICUBIC))
    write_set(tmp_path / "near", eyes[:8])
    write_set(tmp_path / "far", [*eyes[8:], mirrored, turned])
    (tmp_path / "tasks").mkdir()
    for name in ("near", "far"):
        (tmp_path / "tasks" / f"{name}.yaml").write_text(f"name: {name}\n{CARD}")
    monkeypatch.chdir(tmp_path)
    near, far = (open_task(name, tmp_path / name, Silent()) for name in ("near", "far"))
    return near, far


def test_near_copies_are_refused_with_the_pairs_and_the_key(tasks):
    with pytest.raises(DataError) as caught:
        join_tasks(*tasks)
    first, *pairs = caught.value.problems
    assert first.startswith(
        "near-to-far: near-duplicates of test images among 2 training images (2 pairs with a correlation above 0.9)"
    )
    assert "near_copies=leave-out" in first
    assert "near_copies=allow" in first
    assert len(pairs) == 2
    assert "near/i2.png and" in pairs[0]
    assert "far/i6.png" in pairs[0]
    assert "the second mirrored horizontally" in pairs[0]
    assert "near/i5.png and" in pairs[1]
    assert "far/i7.png" in pairs[1]
    assert "turned by" in pairs[1]


def test_near_copies_are_left_out_or_allowed_on_request(tasks):
    kept = join_tasks(*tasks, near_copies="allow")
    assert len(kept.index) == 16
    assert any("kept (near_copies=allow); the first:" in note for note in kept.notes)
    left = join_tasks(*tasks, near_copies="leave-out")
    assert len(left.index) == 14
    assert not {"near_i2", "near_i5"} & set(left.index["image"])
    assert {"far_i6", "far_i7"} <= set(left.index["image"])
    assert any("among 2 training images" in note and "left out" in note for note in left.notes)
    assert kept.fingerprint != left.fingerprint


def test_without_near_copies_nothing_is_said(tasks):
    near, far = tasks
    clean = TaskData(far.card, far.folder, far.index[:6], far.fingerprint)
    joined = join_tasks(near, clean)
    assert len(joined.index) == 14
    assert not any("near-duplicate" in note for note in joined.notes)
    assert joined.fingerprint == join_tasks(near, clean, "allow").fingerprint


def test_the_default_refuses():
    assert RunSettings.model_fields["near_copies"].default == "refuse"


def test_tasks_of_two_families_are_refused(tasks):
    near, far = tasks
    regression = replace(near, card=near.card.model_copy(update={"family": "regression"}))
    other = replace(far, card=far.card.model_copy(update={"classes": []}))
    with pytest.raises(SettingsError, match=r"families differ \(regression and classification\)"):
        join_tasks(regression, other)
