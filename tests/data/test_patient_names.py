"""Patients in file names follow one rule in all folder layouts, and a table replaces it."""

from __future__ import annotations

import pytest

from f2vbench.data.patient_names import patient_and_eye
from f2vbench.data.survey import survey
from f2vbench.data.task_cards import load_card
from f2vbench.errors import DataError
from tests.helpers.small_eyes import photograph, save, write_folder


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("12_left", ("12", "left")),
        ("a-b_RIGHT", ("a-b", "right")),
        ("P7 OD", ("P7", "right")),
        ("P7.os", ("P7", "left")),
        ("Image_01L", ("Image_01", "left")),
        ("RET002OD", ("RET002", "right")),
        ("IDRiD_001", None),
        ("NL_001", None),
        ("left", None),
        ("girl", None),
        ("_left", None),
    ],
)
def test_patient_and_eye_of_a_name(stem, expected):
    assert patient_and_eye(stem) == expected


def _classes(folder, names):
    for position, name in enumerate(names):
        save(folder / ("1_normal" if position % 2 else "2_cataract") / f"{name}.png", photograph(position))


def test_class_folders_keep_both_eyes_of_a_patient_together_and_say_so(tmp_path):
    _classes(tmp_path, [f"{number}_{eye}" for number in range(8) for eye in ("left", "right")])
    found = survey(load_card("retina"), tmp_path)
    assert found.index.groupby("patient")["image"].count().tolist() == [2] * 8
    assert found.splits is not None
    assert (
        found.index.assign(split=found.index["image"].map(found.splits)).groupby("patient")["split"].nunique().max()
        == 1
    )
    warnings = [finding.detail for finding in found.findings if finding.severity == "warning"]
    assert any(
        "patients are read from 16 file names" in text and "8 patients, 8 with several images" in text
        for text in warnings
    )


def test_own_images_follow_the_same_rule(tmp_path):
    write_folder(tmp_path, ("7_OD", "7_OS", "8_OD", "x"))
    index = survey(load_card("folder"), tmp_path).index
    assert index["patient"].tolist() == ["7", "7", "8", "x"]
    assert index["eye"].tolist() == ["right", "left", "right", ""]


def test_a_table_names_the_patients_of_class_folders(tmp_path):
    _classes(tmp_path, ["a_left", "b_left", "c", "d"])
    (tmp_path / "patients.csv").write_text("image,patient\na_left.png,1\n1_normal/b_left,1\nc,2\nd,3\n")
    index = survey(load_card("retina"), tmp_path).index
    assert sorted(index["patient"]) == ["1", "1", "2", "3"]
    (tmp_path / "patients.csv").write_text("image,patient\na_left.png,1\na_left,1\nc,\ne,3\n")
    with pytest.raises(DataError) as error:
        survey(load_card("retina"), tmp_path)
    assert [text.partition(": ")[2] for text in error.value.problems] == [
        "image 'a_left' is listed twice",
        "image 'c' has no patient",
        "image 'e' not found",
    ]
