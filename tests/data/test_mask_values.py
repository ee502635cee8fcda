"""Masks of two values are read, several values need a declaration, and compression noise needs none."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from f2vbench.data.images import read_mask
from f2vbench.data.mask_declaration import declaration
from f2vbench.data.mask_values import foreground
from f2vbench.data.photographs import open_photograph
from f2vbench.data.task_data import open_task
from f2vbench.errors import DataError, SettingsError
from tests.helpers.small_eyes import label, save, write_folder

CARD = """\
name: classes
title: Vessel classes
family: segmentation
layout: folder
mask_values: {values}
labels: synthetic
source: synthetic
terms: none
citation: none
obtain: none
"""


def labels(*levels: int) -> np.ndarray:
    """Vertical bars of the levels on zeros, uint8 (60, 80)."""
    pixels = np.zeros((60, 80), np.uint16)
    for position, level in enumerate(levels):
        pixels[5:55, 8 + 12 * position : 14 + 12 * position] = level
    return pixels if max(levels) > 255 else pixels.astype(np.uint8)


@pytest.mark.parametrize(
    "levels", [(1, 2), (1, 2, 3), (1, 255), (128, 255), (85, 170, 255), (1, 2, 255), (1000, 65535), (200, 255)]
)
def test_several_values_are_refused_until_they_are_declared(tmp_path, levels):
    pixels = labels(*levels)
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    with pytest.raises(DataError, match=rf"a\.png: .*it has {len(levels) + 1} values: 0 .*{levels[0]} \(.*mask_values"):
        read_mask(path)
    np.testing.assert_array_equal(read_mask(path, declaration(list(levels))), pixels > 0)
    np.testing.assert_array_equal(read_mask(path, declaration(levels[:1])), pixels == levels[0])
    np.testing.assert_array_equal(read_mask(path, f">{levels[0]}"), pixels > levels[0])


@pytest.mark.parametrize("quality", [60, 75, 90, 95, 100])
def test_compression_noise_is_no_label(tmp_path, quality):
    drawn = labels(255)
    Image.fromarray(drawn).save(tmp_path / "a.jpg", quality=quality)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.jpg"), drawn > 0)
    Image.open(tmp_path / "a.jpg").save(tmp_path / "again.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "again.png"), drawn > 0)


@pytest.mark.parametrize("levels", [(128, 255), (85, 170, 255)])
def test_compressed_labels_are_refused(levels):
    content = io.BytesIO()
    Image.fromarray(labels(*levels)).save(content, "JPEG", quality=90)
    with pytest.raises(DataError, match="values: 0 "):
        foreground(np.asarray(Image.open(content)))


def test_two_bright_values_are_refused_and_two_low_ones_read():
    with pytest.raises(DataError, match=r"both of its values are bright: 200 .*, 255"):
        foreground(np.where(labels(255) > 0, 255, 200).astype(np.uint8))
    np.testing.assert_array_equal(foreground(labels(255) // 255 + 1), labels(255) > 0)


def test_colours_other_than_those_of_artery_and_vein_are_refused_until_declared(tmp_path):
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[5:8], pixels[12:15] = (255, 0, 0), (255, 255, 0)
    path = save(tmp_path / "a.png", pixels)
    with pytest.raises(DataError, match="it has 2 colours: #ff0000, #ffff00"):
        read_mask(path)
    np.testing.assert_array_equal(read_mask(path, "#ff0000"), (pixels == (255, 0, 0)).all(axis=2))


def test_a_card_declares_the_values_for_checks_and_runs(tmp_path, monkeypatch):
    write_folder(tmp_path / "data")
    for seed, name in enumerate("abcd"):
        save(tmp_path / "data" / "masks" / f"{name}.png", (label(seed) * (1 + (np.arange(56) > 28))).astype(np.uint8))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "classes.yaml").write_text(CARD.format(values="[1, 2]"))
    task = open_task("classes", tmp_path / "data")
    for seed, (_, row) in enumerate(task.index.iterrows()):
        np.testing.assert_array_equal(open_photograph(row).vessels, label(seed))
    (tmp_path / "tasks" / "classes.yaml").write_text(CARD.format(values="[]"))
    with pytest.raises(DataError, match=r"a\.png: not a mask of two values; it has 3 values"):
        open_task("classes", tmp_path / "data")
    (tmp_path / "tasks" / "classes.yaml").write_text(CARD.format(values="[red]"))
    with pytest.raises(SettingsError, match="'red' must be a number such as 2"):
        open_task("classes", tmp_path / "data")


def test_colours_of_artery_and_vein_are_read_with_a_warning(tmp_path):
    write_folder(tmp_path)
    colours = label(0)[..., None] * np.where((np.arange(56) > 28)[None, :, None], (255, 0, 0), (0, 0, 255))
    save(tmp_path / "masks" / "a.png", colours.astype(np.uint8))
    index = open_task("folder", tmp_path).index
    assert "the mask has the colours blue, red" in index["warning"][0]
    assert set(index["warning"][1:]) == {""}
