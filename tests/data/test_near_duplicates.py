"""Re-encoded, resized and cropped copies of a photograph are recognised; other photographs are not."""

from __future__ import annotations

import base64
import io

import cv2
import numpy as np
import pytest
from PIL import Image

from f2vbench.data.field_of_view import field_of_view
from f2vbench.data.images import read_rgb
from f2vbench.data.near_duplicates import MIN_CORRELATION, appearance, is_appearance, near_duplicate_pairs
from f2vbench.data.square_crop import SquareView


def jpeg(rgb: np.ndarray, quality: int) -> np.ndarray:
    content = io.BytesIO()
    Image.fromarray(rgb).save(content, "JPEG", quality=quality)
    return np.array(Image.open(content))


@pytest.fixture(scope="module")
def rite(request) -> list[np.ndarray]:
    folder = request.getfixturevalue("photographs") / "rite"
    return [read_rgb(path) for path in sorted(folder.rglob("images/*.tif"))[:8]]


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    pairs = list(near_duplicate_pairs([appearance(one), appearance(other)], threshold=-1))
    return pairs[0][2]


def test_reencoded_resized_and_cropped_copies_are_near_duplicates(rite):
    for rgb in rite[:4]:
        height, width = rgb.shape[:2]
        half = cv2.resize(rgb, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        for copy in (jpeg(rgb, 75), half, jpeg(half, 85), SquareView.around(field_of_view(rgb)).crop(rgb, 300)):
            assert correlation(rgb, copy) > MIN_CORRELATION


def test_other_photographs_and_mirror_images_are_no_near_duplicates(rite):
    texts = [appearance(rgb) for rgb in rite] + [appearance(np.ascontiguousarray(rgb[:, ::-1])) for rgb in rite]
    assert not list(near_duplicate_pairs(texts))
    assert list(near_duplicate_pairs([*texts, texts[3]])) == [(3, len(texts), pytest.approx(1.0))]


def test_pairs_agree_with_a_slow_comparison():
    random = np.random.default_rng(0)
    smooth = [cv2.GaussianBlur(random.normal(size=(80, 80, 3)), (0, 0), 4) for _ in range(30)]
    texts = [appearance(np.uint8(128 + 90 * one / np.abs(one).max())) for one in smooth]
    numbers = [np.frombuffer(base64.b64decode(text), np.int8).astype(float) for text in texts]
    texts[4] = ""
    plain = [
        (i, j)
        for i in range(30)
        for j in range(i + 1, 30)
        if 4 not in (i, j)
        and numbers[i] @ numbers[j] / np.sqrt((numbers[i] ** 2).sum() * (numbers[j] ** 2).sum()) > 0.2
    ]
    assert [(i, j) for i, j, _ in near_duplicate_pairs(texts, 0.2)] == plain
    assert plain


def test_blank_frames_have_no_appearance():
    assert appearance(np.zeros((50, 60, 3), np.uint8)) == ""
    assert appearance(np.full((50, 60, 3), 200, np.uint8)) == ""
    assert list(near_duplicate_pairs(["", ""])) == []
    assert is_appearance("")
    assert not is_appearance(None)
    assert not is_appearance("no code")
