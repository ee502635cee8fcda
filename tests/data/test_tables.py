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


def test_hidden_sheets_are_not_read(tmp_path):
    path = write_sheet(tmp_path / "a.xlsx", [["ID"], ["old"]], title="old")
    workbook = load_workbook(path)
    sheet = workbook.create_sheet("eyes")
    sheet.append(["ID"])
    sheet.append(["new"])
    workbook["old"].sheet_state = "hidden"
    workbook.active = 1
    workbook.save(path)
    assert read_table(path)["id"].tolist() == ["new"]


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


def test_a_filled_field_without_a_heading_is_refused_with_its_line(tmp_path):
    path = write_table(
        tmp_path / "a.csv", [["image", "patient"], ["1", "2", "OD"], ["2", "1", ""], ["3", "4", "", "OS"]]
    )
    with pytest.raises(DataError) as error:
        read_csv(path)
    assert [problem.partition(":")[0] for problem in error.value.problems] == [f"{path}, line 2", f"{path}, line 4"]
    assert "no heading for 'OD'" in error.value.problems[0]


def test_empty_fields_beyond_the_headings_are_dropped(tmp_path):
    path = write_table(
        tmp_path / "a.csv", [["image", "patient", "", ""], ["1", "2", "", "", ""], ["2", "1"], [" ", ""]]
    )
    assert read_csv(path).to_dict("list") == {"image": ["1", "2"], "patient": ["2", "1"]}


def test_rows_with_too_few_fields_are_refused(tmp_path):
    path = write_table(tmp_path / "a.csv", [["image", "patient", "eye"], ["1", "OD"]])
    with pytest.raises(DataError, match=r"a\.csv, line 2: 2 fields for 3 headings"):
        read_csv(path)


@pytest.mark.parametrize("content", ["", "\n\n", " , ,\n"])
def test_a_table_without_headings_is_refused(tmp_path, content):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(DataError, match=r"a\.csv: the file has no headings"):
        read_csv(tmp_path / "a.csv")


def test_a_table_of_one_column_has_no_separator(tmp_path):
    path = write_table(tmp_path / "a.csv", [["image"], ["eye one"], ["eye:two"]])
    assert read_csv(path).to_dict("list") == {"image": ["eye one", "eye:two"]}


def test_two_columns_of_one_heading_are_refused(tmp_path):
    rows = [["image", "Patient", "patient "], ["a", "1", "2"]]
    with pytest.raises(DataError, match=r"a\.csv: 2 columns have the heading 'patient'"):
        read_csv(write_table(tmp_path / "a.csv", rows))
    with pytest.raises(DataError, match=r"sheet 'data': several columns have the heading patient"):
        read_table(write_sheet(tmp_path / "a.xlsx", rows))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'image,patient\n"a,1\nb,2\n', r"line 3: unexpected end of data: check the quotation marks"),
        (b'image,patient\n"a"x,1\n', r"line 2: .*check the quotation marks"),
        ("image,patient\na,1\n".encode("utf-16"), r"is not UTF-8 text"),
        ("image,patient\na,1\n".encode("utf-16-le"), r"contains zero bytes"),
        ("image,patient\nä,1\n".encode("latin-1"), r"is not UTF-8 text .*byte 14"),
        (b"image,patient\na,1\n" + b"x" * 200_000 + b",1\n", r"line 3: field larger than field limit"),
    ],
)
def test_damaged_csv_files_are_refused_by_line(tmp_path, content, message):
    (tmp_path / "a.csv").write_bytes(content)
    for read in (read_csv, read_cells):
        with pytest.raises(DataError, match=rf"a\.csv(, |: ){message}"):
            read(tmp_path / "a.csv")


@pytest.mark.parametrize(
    "text",
    ["sep=;\nimage;patient\na,b;1\n", "image|patient\na,b|1\n", 'image,patient\n"a,b",1\n', "image;patient\ra,b;1\r"],
)
def test_separators_quotation_marks_and_line_ends_of_other_programs_are_read(tmp_path, text):
    (tmp_path / "a.csv").write_bytes(text.encode())
    assert read_csv(tmp_path / "a.csv").to_dict("list") == {"image": ["a,b"], "patient": ["1"]}


def test_parquet_values_keep_their_text(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow reads Parquet files")
    from pyarrow import parquet

    day, moment = datetime.date(2020, 1, 31), datetime.datetime(2020, 1, 31, 10, 5)
    columns = {
        " Image": ["007", None], "grade": [2.0, None], "part": [0.25, 1e-7], "ill": [True, False], "day": [day, None],
        "moment": [moment, None], "none": [None, None], "site": pyarrow.array(["a", "b"]).dictionary_encode(),
        "__index_level_0__": [5, 6],
    }  # fmt: skip
    parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet").to_dict("list") == {
        "image": ["007", ""], "grade": ["2", ""], "part": ["0.25", "1e-07"], "ill": ["1", "0"],
        "day": ["2020-01-31", ""], "moment": ["2020-01-31 10:05:00", ""], "none": ["", ""], "site": ["a", "b"],
    }  # fmt: skip
    parquet.write_table(pyarrow.table({"image": [{"bytes": b"x", "path": None}], "label": [1]}), tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"b\.parquet: column 'image' has values of the type struct<"):
        read_table(tmp_path / "b.parquet")
    twice = pyarrow.table([pyarrow.array(["a"]), pyarrow.array([1])], names=["label", "Label"])
    parquet.write_table(twice.rename_columns(["label", "label"]), tmp_path / "d.parquet")
    with pytest.raises(DataError, match="several columns have the heading label"):
        read_table(tmp_path / "d.parquet")
    (tmp_path / "c.parquet").write_text("no parquet")
    with pytest.raises(DataError, match=r"c\.parquet: unreadable as Parquet"):
        read_table(tmp_path / "c.parquet")


def test_without_pyarrow_the_message_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r'a\.parquet: pyarrow.*pip install "f2vbench\[parquet\]"'):
        read_table(tmp_path / "a.parquet")


def test_the_separator_of_a_tsv_file_is_the_tab(tmp_path):
    path = write_table(tmp_path / "a.tsv", [["name, as filed", "kind, as graded"], ["a, b", "1"]], "\t")
    assert read_table(path)["kind, as graded"].tolist() == ["1"]


def test_lines_of_json_that_are_no_rows_are_refused_by_line(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"file_name": "a.png", "label": 1.0, "ill": true, "note": null}\n\n{"label": "x"}\n', encoding="utf-8"
    )
    assert read_table(path).to_dict("list") == {
        "file_name": ["a.png", ""], "label": ["1", "x"], "ill": ["1", ""], "note": ["", ""],
    }  # fmt: skip
    path.write_text('[1]\n{"boxes": [1, 2]}\n{"label":\n', encoding="utf-8")
    with pytest.raises(DataError) as error:
        read_table(path)
    first, second, third = error.value.problems
    assert "line 1: not an object" in first
    assert "line 2: the value of 'boxes' is not text or a number" in second
    assert "line 3: not valid JSON" in third
