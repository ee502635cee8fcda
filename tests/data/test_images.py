"""Image files of all formats give the same pixels, damaged files are named, and the field of view is found."""

from __future__ import annotations

import hashlib
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from f2vbench.data.field_of_view import field_of_view
from f2vbench.data.images import content_hash, read_mask, read_part, read_rgb
from f2vbench.errors import DataError
from tests.helpers.small_eyes import photograph, save

RGB = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return 2 * (first & second).sum() / (first.sum() + second.sum())


@pytest.mark.parametrize("name", ["a.png", "a.TIF", "a.bmp", "a.ppm", "a.ppm.gz"])
def test_lossless_formats_give_the_exact_pixels(tmp_path, name):
    read = read_rgb(save(tmp_path / name, RGB))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, RGB)


def test_palettes_are_converted_to_colours(tmp_path):
    indices = np.array([[0, 1], [2, 1]], np.uint8)
    image = Image.fromarray(indices, "P")
    image.putpalette([10, 20, 30, 200, 100, 50, 0, 0, 255])
    colours = np.array([[10, 20, 30], [200, 100, 50], [0, 0, 255]], np.uint8)
    for name in ("a.gif", "a.png"):
        image.save(tmp_path / name)
        np.testing.assert_array_equal(read_rgb(tmp_path / name), colours[indices])


def test_grey_and_one_bit_images_get_three_equal_channels(tmp_path):
    grey = RGB[..., 0]
    np.testing.assert_array_equal(read_rgb(save(tmp_path / "grey.png", grey)), np.dstack([grey] * 3))
    Image.fromarray(grey > 100).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "bits.png")[..., 1], np.where(grey > 100, 255, 0))


def test_transparent_pixels_are_blended_with_black(tmp_path):
    alpha = np.full(RGB.shape[:2], 255, np.uint8)
    alpha[:10], alpha[10:15] = 0, 128
    read = read_rgb(save(tmp_path / "a.png", np.dstack([RGB, alpha]))).astype(int)
    assert not read[:10].any()
    np.testing.assert_allclose(read[10:15], RGB[10:15] * (128 / 255), atol=1)
    np.testing.assert_array_equal(read[15:], RGB[15:])


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bit_values_are_divided_by_257(tmp_path, suffix, channels):
    deep = np.random.default_rng(1).integers(0, 65536, (20, 30, channels), dtype=np.uint16)
    path = tmp_path / f"deep.{suffix}"
    cv2.imwrite(str(path), deep[..., ::-1])
    expected = np.floor(deep / 257 + 0.5).astype(np.uint8)
    np.testing.assert_array_equal(read_rgb(path), np.broadcast_to(expected, (20, 30, 3)))


def test_the_exif_orientation_is_applied(tmp_path):
    image = Image.fromarray(np.repeat(np.repeat(RGB[:2, :3], 16, 0), 16, 1))
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated camera: the top row of the scene is the right column of the file
    image.save(tmp_path / "turned.jpg", exif=exif, quality=95, subsampling=0)
    read = read_rgb(tmp_path / "turned.jpg")
    assert read.shape == (48, 32, 3)
    np.testing.assert_allclose(read[8::16, 8::16].astype(int), np.rot90(RGB[:2, :3], -1), atol=12)


def test_parts_of_an_image_are_halves_and_mirror_images(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (120, 200, 3), np.uint8)
    path = save(tmp_path / "a.png", pixels)
    np.testing.assert_array_equal(read_part(path, ""), pixels)
    np.testing.assert_array_equal(read_part(path, "left-50"), pixels[:70, :100])
    np.testing.assert_array_equal(read_part(path, "right-50"), pixels[:70, 100:])
    np.testing.assert_array_equal(read_part(path, "right"), pixels[:, 100:])
    np.testing.assert_array_equal(read_part(path, "mirrored"), pixels[:, ::-1])
    with pytest.raises(DataError, match="too few"):
        read_part(path, "left-120")
    with pytest.raises(ValueError, match="unknown part 'top'"):
        read_part(path, "top")


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.gif", "a.ppm", "a.bmp", "a.ppm.gz"])
@pytest.mark.parametrize("kept", [0.5, 0.95])
def test_truncated_files_are_refused_by_name(tmp_path, name, kept):
    path = save(tmp_path / name, np.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    for read in (read_rgb, read_mask):
        with pytest.raises(DataError, match=name):
            read(path)


def test_files_that_are_no_images_are_refused_by_name(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "page.jpg").write_text("<html>please log in</html>")
    (tmp_path / "directory.png").mkdir()
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "float.tif")
    for name, reason in (
        ("empty.png", "empty"),
        ("page.jpg", "unknown image format"),
        ("directory.png", "unreadable"),
        ("missing.png", "file not found"),
        ("float.tif", "8 or 16 bits"),
    ):
        with pytest.raises(DataError, match=f"{name}.*{reason}"):
            read_rgb(tmp_path / name)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [9_500, 50_000])
def test_a_small_file_that_claims_to_be_huge_is_refused(tmp_path, side):
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 100)
    chunks = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (header, data, b"IEND")]
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    with pytest.raises(DataError, match=r"bomb\.png.*80,000,000 pixels"):
        read_rgb(tmp_path / "bomb.png")


def test_masks_in_all_encodings_read_the_same(tmp_path):
    drawn = np.zeros((40, 50), bool)
    drawn[10:20, 5:45] = True
    colours = np.zeros((40, 50, 3), np.uint8)
    colours[10:14, 5:45], colours[14:17, 5:45], colours[17:20, 5:25], colours[17:20, 25:45] = (
        (255, 0, 0),
        (0, 0, 255),
        (0, 255, 0),
        (255, 255, 255),
    )
    palette = Image.fromarray(drawn.astype(np.uint8), "P")
    palette.putpalette([0, 0, 0, 255, 255, 255])
    palette.save(tmp_path / "palette.gif")
    cv2.imwrite(str(tmp_path / "deep.png"), drawn.astype(np.uint16) * 4095)
    Image.fromarray(drawn.astype(np.uint8) * 255).save(tmp_path / "noisy.jpg", quality=80)
    save(tmp_path / "ones.png", drawn.astype(np.uint8))
    save(tmp_path / "full.tif", drawn)
    save(tmp_path / "colours.png", colours)
    for name in ("palette.gif", "deep.png", "noisy.jpg", "ones.png", "full.tif", "colours.png"):
        read = read_mask(tmp_path / name)
        assert read.dtype == bool
        np.testing.assert_array_equal(read, drawn, err_msg=name)
    assert not read_mask(save(tmp_path / "zeros.png", np.zeros((9, 9), np.uint8))).any()


def test_the_artery_vein_colours_of_rite_give_its_vessel_masks(photographs):
    half = photographs / "rite" / "AV_groundTruth" / "training"
    files = sorted((half / "av").iterdir())
    assert len(files) == 20
    for file in files:
        np.testing.assert_array_equal(read_mask(file), read_mask(half / "vessel" / file.name), err_msg=file.name)


def test_the_content_hash_depends_on_pixels_and_shape(tmp_path):
    as_png, as_tif = read_rgb(save(tmp_path / "a.png", RGB)), read_rgb(save(tmp_path / "b.tif", RGB))
    assert content_hash(as_png) == content_hash(as_tif)
    assert content_hash(RGB) == hashlib.sha256(b"|u1(20, 30, 3)" + RGB.tobytes()).hexdigest()
    assert content_hash(RGB) == content_hash(np.asfortranarray(RGB))
    assert content_hash(RGB) != content_hash(RGB.reshape(30, 20, 3))
    changed = RGB.copy()
    changed[3, 4, 1] ^= 1
    assert content_hash(RGB) != content_hash(changed)


def _published_masks(folder: Path) -> dict[str, list[tuple[Path, Path]]]:
    rite = folder / "rite"
    return {
        "rite": [
            (image, rite / "drive_fov" / "training" / f"{image.stem}_mask.gif")
            for image in sorted((rite / "AV_groundTruth" / "training" / "images").iterdir())
        ],
        "chase_db1": [
            (image, image.parent / "fov" / f"{image.stem}.png")
            for image in sorted((folder / "chase_db1").glob("*.jpg"))
        ],
    } | {
        name: [
            (image, folder / name / "mask" / f"{image.stem}_mask.png")
            for image in sorted((folder / name / "images").iterdir())
        ]
        for name in ("hrf", "les_av")
    }


@pytest.mark.parametrize(("name", "count"), [("rite", 20), ("chase_db1", 28), ("hrf", 45), ("les_av", 22)])
def test_the_field_of_view_agrees_with_published_masks(photographs, name, count):
    pairs = _published_masks(photographs)[name]
    assert len(pairs) == count
    pairs = pairs[:: 1 if count < 25 else 2]
    scores = {image.name: dice(field_of_view(read_rgb(image)), read_mask(mask)) for image, mask in pairs}
    assert min(scores.values()) > 0.99, min(scores, key=scores.__getitem__)


def _disc(height: int = 300, width: int = 340, radius: float = 140) -> tuple[np.ndarray, np.ndarray]:
    """A photograph whose right side is nearly as dark as the background, and its field of view."""
    y, x = np.mgrid[:height, :width]
    fov = (y - height / 2) ** 2 + (x - width / 2) ** 2 < radius**2
    light = 20 + 180 * np.clip(1 - (x - width / 2) / radius, 0, 1)
    noise = np.random.default_rng(3).normal(0, 3, (height, width))
    red = np.where(fov, light, 4) + noise
    return np.clip(np.dstack([red, red / 2, red / 4]), 0, 255).astype(np.uint8), fov


def _framed(rgb: np.ndarray) -> np.ndarray:
    framed = np.full_like(rgb, 255)
    framed[4:-4, 4:-4] = rgb[4:-4, 4:-4]
    return framed


def _labelled(rgb: np.ndarray) -> np.ndarray:
    return cv2.putText(rgb.copy(), "OD 17-03 No 4711", (4, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255, 255, 255), 2)


@pytest.mark.parametrize("change", [lambda rgb: rgb, lambda rgb: rgb // 3, _framed, _labelled])
def test_the_field_of_view_is_found_in_dark_framed_and_annotated_photographs(change):
    rgb, fov = _disc()
    assert dice(field_of_view(change(rgb)), fov) > 0.98


@pytest.mark.parametrize("cut", [np.s_[70:], np.s_[:, 90:], np.s_[60:250, 60:]])
def test_the_field_of_view_may_be_cut_off(cut):
    rgb, fov = _disc()
    assert dice(field_of_view(rgb[cut]), fov[cut]) > 0.98


def test_without_a_dark_border_the_field_of_view_is_the_whole_image(photographs):
    for pixels in (RGB, photograph(0)[14:34, 18:38], np.zeros((50, 60, 3), np.uint8)):
        found = field_of_view(pixels)
        assert found.shape == pixels.shape[:2]
        assert found.all()
    rgb = read_rgb(photographs / "rite" / "AV_groundTruth" / "training" / "images" / "21_training.tif")
    assert field_of_view(rgb[150:430, 150:430]).all()
