"""`data check fields=folder` draws the fields of view and never writes among other files."""

from __future__ import annotations

import numpy as np
import pytest

from f2vbench.cli.main import main
from f2vbench.data.images import read_rgb
from tests.helpers.small_eyes import field_of_view, save, write_folder


def test_fields_are_drawn_in_a_colour_for_computed_and_one_for_given_ones(tmp_path, capsys):
    write_folder(tmp_path / "eyes")
    save(tmp_path / "eyes" / "fov" / "b.png", field_of_view())
    for _ in range(2):
        assert main(["data", "check", "task=folder", f"data={tmp_path / 'eyes'}", f"fields={tmp_path / 'drawn'}"]) == 0
    drawn = {path.name: read_rgb(path) for path in sorted((tmp_path / "drawn").iterdir())}
    assert list(drawn) == [f"{name}.field.png" for name in "abcd"]
    for name, colour in (("a", (255, 255, 0)), ("b", (0, 255, 255))):
        line = (drawn[f"{name}.field.png"] == colour).all(axis=2)
        distance = np.abs(np.hypot(*np.nonzero(line) - np.array([[23.5], [27.5]])) - 22)
        assert line.sum() > 80
        assert distance.max() < 4


@pytest.mark.parametrize("content", ["notes.txt", "a.png"])
def test_other_files_are_never_written_among(tmp_path, capsys, content):
    write_folder(tmp_path / "eyes")
    (tmp_path / "drawn").mkdir()
    (tmp_path / "drawn" / content).touch()
    assert main(["data", "check", "task=folder", f"data={tmp_path / 'eyes'}", f"fields={tmp_path / 'drawn'}"]) == 2
    assert "contains other files" in capsys.readouterr().err
