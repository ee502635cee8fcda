"""Re-encoded, retouched, resized, cropped, mirrored and turned copies are recognised; other eyes are not."""

from __future__ import annotations

import base64
import doctest
import io

import cv2
import numpy as np
import pytest
from PIL import Image

from f2vbench.data import near_duplicates
from f2vbench.data.field_of_view import field_of_view
from f2vbench.data.images import read_rgb
from f2vbench.data.near_duplicates import MIN_CORRELATION, appearance, is_appearance, near_duplicate_pairs
from f2vbench.data.square_crop import SquareView
from f2vbench.phantom.cohort import Cohort


def jpeg(rgb: np.ndarray, quality: int) -> np.ndarray:
    content = io.BytesIO()
    Image.fromarray(rgb).save(content, "JPEG", quality=quality)
    return np.array(Image.open(content))


def half(rgb: np.ndarray) -> np.ndarray:
    return cv2.resize(rgb, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def turned(rgb: np.ndarray, degrees: float) -> np.ndarray:
    return np.array(Image.fromarray(rgb).rotate(degrees, Image.Resampling.BICUBIC))


def mirrored(rgb: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(rgb[:, ::-1])


def one_pixel(rgb: np.ndarray) -> np.ndarray:
    changed = rgb.copy()
    changed[150, 150] ^= 255
    return changed


@pytest.fixture(scope="module")
def eyes() -> list[np.ndarray]:
    """Both eyes of ten simulated patients."""
    return [eye.photograph().image for eye in Cohort(5, 10, size=320)]


@pytest.fixture(scope="module")
def rite(request) -> list[np.ndarray]:
    folder = request.getfixturevalue("photographs") / "rite"
    return [read_rgb(path) for path in sorted(folder.rglob("images/*.tif"))[:8]]


@pytest.mark.parametrize(
    ("edit", "relation"),
    [
        (one_pixel, ""),
        (lambda rgb: jpeg(rgb, 75), ""),
        (lambda rgb: jpeg(half(rgb), 75), ""),
        (lambda rgb: rgb[5:-5, 5:-5], ""),
        (mirrored, "mirrored horizontally"),
        (lambda rgb: np.ascontiguousarray(rgb[::-1]), "mirrored vertically"),
        (lambda rgb: np.ascontiguousarray(np.rot90(rgb)), "turned by 90°"),
        (lambda rgb: np.ascontiguousarray(np.rot90(rgb, 2)), "turned by 180°"),
        (lambda rgb: np.ascontiguousarray(rgb.transpose(1, 0, 2)), "mirrored and turned by 90°"),
        (lambda rgb: turned(rgb, 45), "turned by 45°"),
        (lambda rgb: jpeg(turned(mirrored(rgb), -45), 75), "mirrored and turned by -45°"),
    ],
)
def test_each_kind_of_copy_is_found_and_named(eyes, edit, relation):
    texts = [appearance(rgb) for rgb in eyes]
    for position, rgb in enumerate(eyes[:6]):
        pairs = list(near_duplicate_pairs([*texts, appearance(edit(rgb))]))
        assert [(pair.first, pair.second) for pair in pairs] == [(position, len(eyes))]
        assert pairs[0].relation() == relation


@pytest.mark.parametrize("degrees", [-10, -7, -5, -3, 3, 5, 7, 10])
def test_small_turns_are_measured(eyes, degrees):
    for rgb in eyes[:4]:
        for picture, is_mirrored in ((turned(rgb, degrees), False), (turned(mirrored(rgb), degrees), True)):
            (pair,) = near_duplicate_pairs([appearance(rgb)], others=[appearance(picture)])
            assert pair.correlation > 0.95
            assert pair.mirrored == is_mirrored
            assert pair.turn == pytest.approx(degrees, abs=1.5)


def test_the_two_eyes_of_a_patient_are_no_near_duplicates(eyes):
    texts = [appearance(rgb) for rgb in eyes]
    assert not list(near_duplicate_pairs(texts, 0.8))
    assert next(near_duplicate_pairs([*texts, texts[3]]))[:3] == (3, len(texts), pytest.approx(1.0))


def test_copies_of_real_photographs_are_near_duplicates_and_other_photographs_are_not(rite):
    texts = [appearance(rgb) for rgb in rite]
    assert not list(near_duplicate_pairs(texts))
    for position, rgb in enumerate(rite[:4]):
        crop = SquareView.around(field_of_view(rgb)).crop(rgb, 300)
        for copy in (jpeg(rgb, 75), half(rgb), jpeg(half(rgb), 85), crop, mirrored(rgb), turned(rgb, 7)):
            assert [pair.first for pair in near_duplicate_pairs(texts, others=[appearance(copy)])] == [position]


def slow_correlation(one: str, other: str) -> float:
    """The largest correlation over 256 turns and both mirror images, by a loop."""
    codes = [np.frombuffer(base64.b64decode(text), np.int8).astype(float) for text in (one, other)]
    first, second = (code[::2] + 1j * code[1::2] for code in codes)
    orders = near_duplicates._ORDER_OF
    values = [
        (first * np.conj(image) * np.exp(2j * np.pi * orders * step / 256)).real.sum()
        for image in (second, np.conj(second))
        for step in range(256)
    ]
    return max(values) / (np.linalg.norm(first) * np.linalg.norm(second))


def test_pairs_agree_with_a_slow_comparison(monkeypatch):
    monkeypatch.setattr(near_duplicates, "_BLOCK", 7)
    monkeypatch.setattr(near_duplicates, "_CANDIDATES", 5)
    random = np.random.default_rng(0)
    smooth = [cv2.GaussianBlur(random.normal(size=(80, 80, 3)), (0, 0), 4) for _ in range(30)]
    texts = [appearance(np.uint8(128 + 90 * one / np.abs(one).max())) for one in smooth]
    texts[4] = ""
    slow = {
        (i, j): slow_correlation(texts[i], texts[j]) for i in range(30) for j in range(i + 1, 30) if 4 not in (i, j)
    }
    threshold = float(np.median(list(slow.values())))
    found = {pair[:2]: pair.correlation for pair in near_duplicate_pairs(texts, threshold)}
    assert list(found) == [pair for pair, value in slow.items() if value > threshold]
    assert found == pytest.approx({pair: value for pair, value in slow.items() if value > threshold}, abs=1e-5)
    across = {pair[:2] for pair in near_duplicate_pairs(texts[:10], threshold, texts[10:])}
    assert across == {(i, j - 10) for i, j in found if i < 10 <= j}


def test_many_copies_of_one_photograph_give_a_bounded_number_of_pairs(eyes):
    text = appearance(eyes[0])
    pairs = list(near_duplicate_pairs([text] * 400))
    assert len(pairs) == 100 * 300 + 99 * 100 // 2
    assert [pair.second for pair in pairs[:100]] == list(range(1, 101))


def test_blank_frames_have_no_appearance():
    assert appearance(np.zeros((50, 60, 3), np.uint8)) == ""
    assert appearance(np.full((50, 60, 3), 200, np.uint8)) == ""
    assert list(near_duplicate_pairs(["", ""])) == []
    assert is_appearance("")
    assert not is_appearance(None)
    assert not is_appearance("no code")
    assert not is_appearance(base64.b64encode(bytes(210)).decode())


def test_the_examples_run():
    assert doctest.testmod(near_duplicates).failed == 0


def test_the_default_of_data_check_is_the_threshold():
    from f2vbench.data.settings import DataSettings

    assert DataSettings.model_fields["alike"].default == MIN_CORRELATION
