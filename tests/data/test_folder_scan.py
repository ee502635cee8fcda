"""Photographs never vanish: they are read, counted as passed over, or an error names them."""

from __future__ import annotations

import os

import pytest
from PIL import Image

from f2vbench.data.folder_scan import images_in, inner_folders, passed_over_files
from f2vbench.data.survey import survey
from f2vbench.data.task_cards import load_card
from f2vbench.errors import DataError
from tests.helpers.small_eyes import field_of_view, photograph, save, write_folder


@pytest.mark.parametrize("suffix", ["webp", "jp2", "jfif", "jpe"])
def test_further_formats_are_read(tmp_path, suffix):
    write_folder(tmp_path)
    image = Image.open(tmp_path / "images" / "a.png")
    image.save(tmp_path / "images" / f"a.{suffix}", format="JPEG" if suffix in ("jfif", "jpe") else None)
    (tmp_path / "images" / "a.png").unlink()
    found = survey(load_card("folder"), tmp_path)
    assert found.index["path"][0].endswith(suffix)
    assert found.is_usable


def test_what_is_no_image_is_counted_by_suffix(tmp_path):
    write_folder(tmp_path)
    for name in ("a.heic", "b.heic", "c.svg", "IM0001", "notes.txt", "README", ".hidden.heic"):
        (tmp_path / "images" / name).write_bytes(b"x")
    (tmp_path / "images" / "folder.png").mkdir()
    os.mkfifo(tmp_path / "images" / "pipe.png")
    with passed_over_files() as found:
        assert list(images_in(tmp_path / "images")) == ["a", "b", "c", "d"]
    assert sorted(found[tmp_path / "images"]) == [".heic", ".heic", ".svg", "folders", "no suffix", "special files"]
    (warning,) = (
        finding for finding in survey(load_card("folder"), tmp_path).findings if "passed over" in finding.detail
    )
    assert warning.severity == "warning"
    assert "2 .heic" in warning.detail


@pytest.mark.parametrize("target", ["../cache/a.png", "b.png"])
def test_links_without_a_file_are_an_error(tmp_path, target):
    write_folder(tmp_path)
    (tmp_path / "images" / "a.png").unlink()
    (tmp_path / "images" / "a.png").symlink_to(target if target != "b.png" else "a.png")
    with pytest.raises(DataError, match=r"links lead to files that do not exist: .*a\.png.*(dvc pull, git annex get)"):
        survey(load_card("folder"), tmp_path)


def test_a_pointer_to_a_file_elsewhere_says_how_to_fetch_it(tmp_path):
    write_folder(tmp_path)
    (tmp_path / "images" / "a.png").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    found = survey(load_card("folder"), tmp_path)
    assert any("git lfs pull" in finding.detail for finding in found.findings if finding.severity == "error")


def test_a_name_in_another_encoding_is_an_error_that_can_be_printed(tmp_path):
    write_folder(tmp_path)
    save(tmp_path / "images" / os.fsdecode(b"caf\xe9.png"), photograph(9))
    with pytest.raises(DataError, match="not valid UTF-8") as error:
        survey(load_card("folder"), tmp_path)
    str(error.value).encode()


def test_a_link_to_a_folder_around_it_is_not_followed(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "loop").symlink_to("..")
    assert [path.name for path in inner_folders(tmp_path)] == ["a", "b"]


def test_fields_of_view_without_a_photograph_are_named(tmp_path):
    write_folder(tmp_path)
    save(tmp_path / "fov" / "a.png", field_of_view())
    save(tmp_path / "fov" / "z.png", field_of_view())
    notes = survey(load_card("folder"), tmp_path).index.attrs["notes"]
    assert "field-of-view masks without a photograph, not used: z.png" in notes
    assert "fields of view: 1 given by masks, 3 computed from the photographs" in notes
