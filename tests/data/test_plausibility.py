"""Blank photographs, implausible fields of view and masks that EXIF turns are found."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from f2vbench.data.field_of_view import field_of_view
from f2vbench.data.images import read_rgb, turned
from f2vbench.data.plausibility import field_measures, field_remark, is_blank
from f2vbench.data.survey import survey
from f2vbench.data.task_cards import load_card
from tests.helpers.small_eyes import photograph, save, write_folder


@pytest.mark.parametrize("level", [0, 128, 255])
def test_black_constant_and_noisy_black_photographs_are_blank(level):
    constant = np.full((90, 100, 3), level, np.uint8)
    noise = np.random.default_rng(0).integers(0, 3, (200, 200, 3), dtype=np.uint8)
    disc = np.hypot(*(np.mgrid[:100, :100] - 50)) < 45
    assert is_blank(constant)
    assert is_blank(noise)
    assert is_blank(np.where(disc[..., None], (90, 60, 30), 0).astype(np.uint8))
    assert not is_blank(photograph(1))


def test_a_blank_photograph_is_a_warning_of_the_check(tmp_path):
    write_folder(tmp_path)
    save(tmp_path / "images" / "a.png", np.zeros((48, 56, 3), np.uint8))
    warned = [finding.image for finding in survey(load_card("folder"), tmp_path).findings if "black" in finding.detail]
    assert warned == ["a"]


def test_rectangles_and_small_regions_are_implausible_fields():
    rectangle, disc = np.zeros((300, 340), bool), np.hypot(*np.mgrid[-150:150, -170:170]) < 140
    rectangle[6:-6, 8:-8] = True
    cut = disc.copy()
    cut[:30] = cut[-30:] = False
    assert "of its border lie on a circle" in field_remark(*field_measures(rectangle))
    assert field_remark(*field_measures(disc)) == field_remark(*field_measures(cut)) == ""
    assert field_remark(*field_measures(np.ones((300, 340), bool))) == ""
    assert field_remark(*field_measures(np.hypot(*np.mgrid[-150:150, -170:170]) < 40))


@pytest.mark.parametrize("framed", [True, False])
def test_the_film_around_the_field_is_no_retina(framed):
    y, x = np.mgrid[:400, :460]
    radius = np.hypot(y - 200, x - 230)
    fov = radius < 170
    retina = np.dstack([150 - 0.4 * radius, 80 - 0.25 * radius, 40 - 0.1 * radius])
    film = np.random.default_rng(1).normal((12, 45, 20), 3, (400, 460, 3))
    if framed:
        film[:12] = film[-9:] = film[:, :15] = 0
    rgb = np.clip(np.where(fov[..., None], retina, film), 0, 255).astype(np.uint8)
    found = field_of_view(cv2.GaussianBlur(rgb, (0, 0), 1))
    assert 2 * (found & fov).sum() / (found.sum() + fov.sum()) > 0.99


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_are_turned_as_exif_says(tmp_path, orientation):
    pixels = np.random.default_rng(0).integers(0, 255, (16, 24, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), turned(pixels, orientation))


def _with_vessels(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    vessels = np.zeros(size, np.uint8)
    for start, end in (((20, 90), (150, 60)), ((30, 30), (90, 150)), ((60, 140), (140, 110))):
        cv2.line(vessels, start, end, 255, 4)
    rgb = np.full((*size, 3), (160, 90, 45), float) + np.random.default_rng(0).normal(0, 3, (*size, 3))
    rgb[np.hypot(*(np.mgrid[: size[0], : size[1]] - np.reshape(size, (2, 1, 1)) / 2)) > 0.48 * min(size)] = 0
    return np.clip(rgb * np.where(vessels, 0.6, 1.0)[..., None], 0, 255).astype(np.uint8), vessels > 0


def _write(folder, size, orientation):
    rgb, vessels = _with_vessels(size)
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name in "abcd":
        (folder / "images").mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.roll(rgb, ord(name), 2)).save(folder / "images" / f"{name}.png", exif=exif)
        save(folder / "masks" / f"{name}.png", vessels)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_mask_on_stored_pixels_of_a_turned_photograph_is_found(tmp_path, orientation):
    _write(tmp_path, (180, 180), orientation)
    problems = survey(load_card("folder"), tmp_path).findings
    assert any(
        f"EXIF orientation {orientation}" in finding.detail and finding.severity == "error" for finding in problems
    )


def test_an_oblong_photograph_that_exif_turns_names_exif(tmp_path):
    _write(tmp_path, (160, 200), 6)
    details = [finding.detail for finding in survey(load_card("folder"), tmp_path).findings if finding.kind == "file"]
    assert any("EXIF turns one of them (orientation 6 in the photograph, 1 in the mask)" in text for text in details)
