"""Folders of cases: frames, patients, and problems; and the frames that a phase contributes."""

from __future__ import annotations

import pytest

from f2vbench.data.cases import PHASES, evenly_spaced, read_folder
from f2vbench.errors import DataError
from tests.helpers.case_files import colour_eye, save, write_case_folder


def test_frames_are_in_order_of_their_numbers_and_a_third_is_of_each_phase(tmp_path):
    write_case_folder(tmp_path / "a", 13, ".jpg")
    case = read_folder(tmp_path).cases[0]
    assert [frame.path.stem for frame in case.frames] == [f"f{number}" for number in range(1, 14)]
    assert [len(case.in_phase(phase)) for phase in PHASES] == [5, 4, 4]
    assert [frame.path.stem for frame in case.in_phase("venous")] == ["f6", "f7", "f8", "f9"]


def test_cases_without_a_table_and_an_eye_are_patients_of_their_own(tmp_path):
    for name in ("a", "b"):
        write_case_folder(tmp_path / name, 12)
    found = read_folder(tmp_path)
    assert [case.patient for case in found.cases] == ["a", "b"]
    assert "every case counts as its own patient" in found.notes[0]


def test_patients_come_from_names_that_end_in_an_eye_with_a_note_or_from_a_table(tmp_path):
    for name in ("a_left", "a_right", "b"):
        write_case_folder(tmp_path / name, 12)
    found = read_folder(tmp_path)
    assert [case.patient for case in found.cases] == ["a", "a", "b"]
    assert found.notes[0].endswith(
        "patients are read from 2 case names such as a_left (patient a); 1 other case as a patient each"
    )
    table = tmp_path / "patients.csv"
    table.write_text("case,patient\na_left,a\na_right,a\nb,b\n")
    assert [case.patient for case in read_folder(tmp_path).cases] == ["a", "a", "b"]
    table.write_text("case,patient\na_left,a\na_rigth,a\n")
    with pytest.raises(DataError) as caught:
        read_folder(tmp_path)
    assert "case 'b' has no patient" in str(caught.value)
    assert "case 'a_rigth' has no folder; did you mean 'a_right'?" in str(caught.value)


def test_folders_that_are_not_cases_are_refused(tmp_path):
    (tmp_path / "stray").mkdir()
    with pytest.raises(DataError, match=r"expected a table video.csv, or one folder per case"):
        read_folder(tmp_path)
    write_case_folder(tmp_path / "a", 12)
    save(tmp_path / "b" / "fundus.png", colour_eye())
    with pytest.raises(DataError) as caught:
        read_folder(tmp_path)
    assert "b: photograph.png or photograph.jpg not found; found fundus.png" in str(caught.value)
    assert "b: no images in a folder named frames" in str(caught.value)


@pytest.mark.parametrize(
    ("count", "positions"),
    [
        (1, [0, 0, 0, 0]),
        (2, [0, 0, 1, 1]),
        (3, [0, 1, 1, 2]),
        (4, [0, 1, 2, 3]),
        (7, [0, 2, 4, 6]),
        (10, [0, 3, 6, 9]),
    ],
)
def test_spread_positions_go_from_first_to_last_and_repeat_the_nearest(count, positions):
    assert evenly_spaced(count, 4) == positions
