"""Output folders and files that exist already."""

from __future__ import annotations

import pytest

from f2vbench.cli.main import main
from f2vbench.errors import StoreError
from f2vbench.store.runs import RunFolder
from f2vbench.utils.existing_outputs import check_output_file, check_output_folder, has_first_line
from tests.helpers.stored_runs import grid, write_run


def test_a_folder_is_used_if_it_is_absent_empty_or_has_files_of_the_command_only(tmp_path):
    check_output_folder(tmp_path / "new", "out", ())
    check_output_folder(tmp_path, "out", ())
    (tmp_path / ".DS_Store").touch()
    (tmp_path / "own.csv").touch()
    check_output_folder(tmp_path, "out", ("own.csv",))
    for number in range(5):
        (tmp_path / f"photo{number}.png").touch()
    with pytest.raises(StoreError, match=r"other files \(photo0.png, photo1.png, photo2.png and 2 more\)"):
        check_output_folder(tmp_path, "out", ("own.csv",))
    check_output_folder(tmp_path, "out", (), ("own.csv",))
    with pytest.raises(StoreError, match="is a file, not a folder"):
        check_output_folder(tmp_path / "own.csv", "out", ())


def test_only_empty_files_and_files_of_the_command_are_replaced(tmp_path):
    file = tmp_path / "table.csv"
    check_output_file(file, "out", has_first_line("a,b"))
    for content in ("", "a,b\n1,2\n"):
        file.write_text(content)
        check_output_file(file, "out", has_first_line("a,b"))
    for content in (b"b,a\n", b"\xff\xfe"):
        file.write_bytes(content)
        with pytest.raises(StoreError, match="not written by this command"):
            check_output_file(file, "out", has_first_line("a,b"))
    with pytest.raises(StoreError, match="is a folder"):
        check_output_file(tmp_path, "out", has_first_line("a,b"))


@pytest.mark.parametrize("name", ["results.csv", "phantom.json", "checkpoint.pt", "images/a.png", "units/ward.txt"])
def test_a_run_folder_is_not_made_of_a_folder_of_others(tmp_path, name):
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine")
    with pytest.raises(StoreError, match="the folder has other files"):
        RunFolder(tmp_path).open_for_writing()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [file]


def test_a_report_is_not_written_over_files_of_others(tmp_path, capsys):
    run = write_run(tmp_path / "run", grid({"a": 0.9, "b": 0.8}, seeds=2))
    arguments = ["report", f"run={run}", "figures=none", "format=csv,html"]
    mine = tmp_path / "mine"
    mine.mkdir()
    for name in ("results.csv", "report.html", "notes.txt"):
        (mine / name).write_text("mine\n")
        assert main([*arguments, f"out={mine}"]) == 2
        assert [path.read_text() for path in mine.iterdir()] == ["mine\n"]
        (mine / name).unlink()
    other = write_run(tmp_path / "other", grid({"c": 0.7}, seeds=2))
    assert main([*arguments, f"out={other}"]) == 2
    assert "folder of another run" in capsys.readouterr().err
    for out in (mine, run):
        for _ in range(2):  # its own files may be replaced
            assert main([*arguments, f"out={out}"]) == 0
