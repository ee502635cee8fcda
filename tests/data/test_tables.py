"""CSV and Excel tables are read as text; problems name the file, the sheet and what to do."""

from __future__ import annotations

import datetime
import sys

import pytest
from openpyxl import Workbook, load_workbook
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont

from f2vbench.data import tables
from f2vbench.data.tables import read_cells, read_csv, read_table
from f2vbench.errors import DataError
from tests.helpers.small_sets import write_sheet, write_table


def test_an_excel_sheet_is_text_with_empty_cells_and_without_empty_rows(tmp_path):
    rich = CellRichText("mild ", TextBlock(InlineFont(b=True), "NPDR"))
    path = write_sheet(tmp_path / "a.xlsx", [["x ", None, 3], [None, 0.25, rich], [], [*[None] * 27, "far"]])
    rows = read_cells(path).rows
    assert rows[:2] == [["x", "", "3"] + [""] * 25, ["", "0.25", "mild NPDR"] + [""] * 25]
    assert rows[2][27] == "far"
    assert len(rows) == 3


def test_excel_values_keep_their_text_and_dates_are_iso(tmp_path):
    day, moment = datetime.date(2020, 1, 31), datetime.datetime(2020, 1, 31, 10, 5)
    path = write_sheet(tmp_path / "a.xlsx", [["007", 2.0, "NA", day, moment, "#N/A"]])
    assert read_cells(path).rows == [["007", "2", "NA", "2020-01-31", "2020-01-31 10:05:00", ""]]


def test_only_the_first_sheet_is_read(tmp_path):
    path = write_sheet(tmp_path / "a.xlsx", [["ID"], [1]], title="eyes")
    workbook = load_workbook(path)
    workbook.create_sheet("other").append(["nothing"])
    workbook.save(path)
    assert read_table(path)["id"].tolist() == ["1"]


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_headings_are_lower_case_without_spaces(tmp_path, kind):
    rows = [["ID", " Left-Fundus "], ["0", " 0_left.jpg"], ["1", ""]]
    path = write_sheet(tmp_path / "a.xlsx", rows) if kind == "xlsx" else write_table(tmp_path / "a.csv", rows)
    table = read_table(path, ("id", "left-fundus"))
    assert table.to_dict("list") == {"id": ["0", "1"], "left-fundus": ["0_left.jpg", ""]}


def test_columns_without_a_heading_are_ignored_in_excel_tables(tmp_path):
    path = write_sheet(tmp_path / "a.xlsx", [["ID", None, None], [1, 2, 3]])
    assert list(read_table(path).columns) == ["id"]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_separator_of_a_csv_file_is_detected(tmp_path, separator):
    path = write_table(tmp_path / "a.csv", [["left", "right"], ["a.jpg", "b.jpg"]], separator)
    assert read_csv(path, ("left",))["right"].tolist() == ["b.jpg"]


def test_rows_of_unequal_length_are_padded(tmp_path):
    path = write_table(tmp_path / "a.csv", [["", "Age", "Diagnosis"], ["#001"], [], ["#002", "60", "1"]])
    assert read_cells(path).rows == [["", "Age", "Diagnosis"], ["#001", "", ""], ["#002", "60", "1"]]


def test_a_missing_column_is_named_with_file_and_sheet(tmp_path):
    path = write_sheet(tmp_path / "a.xlsx", [["ID", "Age"], [1, 60]], title="clinical data")
    with pytest.raises(DataError, match=r"a\.xlsx, sheet 'clinical data': column sex not found; columns are id, age"):
        read_table(path, ("id", "sex"))
    with pytest.raises(DataError, match=r"b\.csv: column sex not found; columns are id, age"):
        read_table(write_table(tmp_path / "b.csv", [["ID", "Age"], ["1", "60"]]), ("id", "sex"))
    empty = Workbook()
    empty.save(tmp_path / "c.xlsx")
    with pytest.raises(DataError, match=r"c\.xlsx, sheet 'Sheet': column id not found; columns are none"):
        read_table(tmp_path / "c.xlsx", ("id",))


def test_a_damaged_file_is_refused_by_name(tmp_path):
    (tmp_path / "b.xlsx").write_text("no archive")
    with pytest.raises(DataError, match=r"b\.xlsx: unreadable as \.xlsx .*save it as CSV"):
        read_cells(tmp_path / "b.xlsx")
    with pytest.raises(DataError, match=r"none\.xlsx: unreadable"):
        read_cells(tmp_path / "none.xlsx")


def test_a_file_that_unpacks_to_an_unreasonable_size_is_refused(tmp_path, monkeypatch):
    path = write_sheet(tmp_path / "a.xlsx", [["x"]])
    monkeypatch.setattr(tables, "_MAX_BYTES", 1000)
    with pytest.raises(DataError, match=r"a\.xlsx: unreadable as \.xlsx \(larger than"):
        read_cells(path)


def test_without_openpyxl_the_message_says_how_to_install_it(tmp_path, monkeypatch):
    path = write_sheet(tmp_path / "a.xlsx", [["x"]])
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(DataError, match=r'a\.xlsx: openpyxl.*pip install "f2vbench\[excel\]"'):
        read_cells(path)


@pytest.mark.parametrize("text", ["image,patient,image\na,1,b\n", "Image,patient,image \na,1,b\n", "x;x\n1;2\n"])
def test_a_heading_twice_is_an_error(tmp_path, text):
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(DataError, match="occurs more than once"):
        read_csv(tmp_path / "table.csv")
