"""Tables in the released format: encodings, problems with rows, and notes."""

from __future__ import annotations

import pytest

from f2vbench.data.case_table import read_table
from f2vbench.data.cases import PHASES
from f2vbench.errors import DataError
from tests.helpers.case_files import CaseTable, colour_eye, save, six_patients


@pytest.fixture
def table(tmp_path) -> CaseTable:
    return six_patients(tmp_path / "data")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_cases_have_frames_in_order_of_phase_and_time(table, encoding):
    table.rows.reverse()
    cases = {case.name: case for case in read_table(table.write(encoding)).cases}
    assert sorted(cases) == [f"c{number}" for number in range(6)]
    assert [frame.path.stem for frame in cases["c3"].frames] == [f"c3_{number}" for number in range(12)]


def test_absolute_paths_are_read(tmp_path):
    table = CaseTable(tmp_path).add_case("a", "p", absolute=True)
    (case,) = read_table(table.write()).cases
    assert case.photograph == tmp_path / "images" / "a.png"


def test_missing_columns_are_named_with_the_likely_one(table):
    for row in table.rows:
        row["fa_rigit"] = row["fa_rigid"]
    path = table.write(columns=("orgid", "pid_eye", "Phase", "co_rigid", "fa_rigit"))
    with pytest.raises(DataError) as caught:
        read_table(path)
    text = str(caught.value)
    assert "column 'fa_rigid' not found; did you mean 'fa_rigit'?; columns are orgid, pid_eye, phase, co_rigid" in text
    assert "column 'level_1' not found" in text


def test_missing_files_are_listed_with_row_and_path_up_to_ten(table):
    for row in table.rows[:13]:
        row["fa_rigid"] = f"gone/{row['fa_rigid']}"
    with pytest.raises(DataError) as caught:
        read_table(table.write())
    problems = caught.value.problems
    assert len(problems) == 11
    assert "row 2: fa_rigid: " in problems[0]
    assert str(table.folder / "gone/frames/c0_0.png") in problems[0]
    assert "row 11" in problems[9]
    assert "3 more" in problems[10]


def test_invalid_values_are_named_by_row(table):
    table.rows[0]["Phase"] = "arteriel"
    table.rows[1]["level_1"] = "nan"
    table.rows[2]["orgid"] = ""
    table.rows[14]["orgid"] = "another"
    with pytest.raises(DataError) as caught:
        read_table(table.write())
    text = str(caught.value)
    assert "row 2: Phase 'arteriel' must be one of arterial, venous, late; did you mean 'arterial'?" in text
    assert "row 3: level_1 'nan'" in text
    assert "row 4: no orgid" in text
    assert "case 'c1' has several patients (orgid): another, patient1" in text


def test_the_released_reading_leaves_out_a_and_c_and_reads_av_as_v(table):
    for row in table.rows:
        row["Phase"] = {"arterial": "A", "venous": "V", "late": "l"}[row["Phase"].strip().lower()]
    table.rows[0]["Phase"], table.rows[12]["Phase"], table.rows[4]["Phase"] = "C", "c", "AV"
    path = table.write()
    found = read_table(path, "released")
    assert found.notes == (
        "22 rows of phase A left out, as in the released code",
        "2 rows of phase C left out, as in the released code",
    )
    first = found.cases[0]
    assert [frame.path.stem for frame in first.in_phase("venous")] == [f"c0_{number}" for number in range(4, 8)]
    assert first.in_phase("arterial") == []
    with pytest.raises(DataError) as caught:
        read_table(path)
    text = str(caught.value)
    assert len(caught.value.problems) == 3
    assert "row 2: Phase 'C' must be one of arterial, venous, late; `f2vbench train phases=released`" in text
    assert "row 6: Phase 'AV'" in text


def test_single_letters_name_the_phases_and_a_table_of_a_and_c_alone_is_refused_in_the_released_reading(table):
    for row in table.rows:
        row["Phase"] = row["Phase"].strip()[0]
    path = table.write()
    assert [frame.phase for frame in read_table(path).cases[0].frames] == [p for p in PHASES for _ in range(4)]
    for row in table.rows:
        row["Phase"] = "A"
    with pytest.raises(DataError, match=r"all rows have the phases A or C, .* use phases=named"):
        read_table(table.write(), "released")


def test_an_empty_table_is_refused(tmp_path):
    with pytest.raises(DataError, match="no rows"):
        read_table(CaseTable(tmp_path).write())


def test_second_photographs_repeated_frames_and_overlapping_phases_are_noted(table):
    other = save(table.folder / "other.png", colour_eye())
    table.rows[0]["co_rigid"] = other.name
    table.rows.append(dict(table.rows[13]))
    table.rows[24]["level_1"] = "999"
    found = read_table(table.write())
    notes = "\n".join(found.notes)
    assert "c0: c0.png is used with its 11 frames; left out: 1 other photograph with 1 frame" in notes
    assert "c1: 1 repeated row of the same frame ignored" in notes
    assert "c2: phases overlap in time" in notes
    assert [frame.phase for frame in found.cases[2].frames] == [phase for phase in PHASES for _ in range(4)]
