"""Reads an uploaded photograph, or the example, and refuses what is no fundus photograph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from f2vbench.data.field_of_view import field_name, field_of_view
from f2vbench.data.images import content_hash, read_rgb
from f2vbench.data.photographs import Photograph
from f2vbench.data.plausibility import field_measures, field_remark, is_blank
from f2vbench.errors import DataError

MAX_BYTES = 20 * 2**20
"""Largest uploaded file."""
MAX_PIXELS = 40_000_000
"""Most pixels of an uploaded photograph."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".jp2", ".tif", ".tiff", ".bmp", ".webp")
"""File names that are accepted."""

_WHOLE_IMAGE = 0.999  # share of the image that is a field of view without a border


def read_upload(path: Path) -> Photograph:
    """Read an uploaded photograph.

    Args:
        path: The uploaded file.

    Raises:
        DataError: One sentence, with the file's name but not its folder: it is larger than `MAX_BYTES` or `MAX_PIXELS`,
            no readable image, of one colour, or has no round field of view.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path.name}: not one of the accepted formats; upload a PNG, JPEG, TIFF, BMP or WebP file")
    if path.stat().st_size > MAX_BYTES:
        raise DataError(f"{path.name}: larger than {MAX_BYTES // 2**20} MB; upload a smaller file")
    try:
        _check_pixels(path)
        rgb = read_rgb(path)
    except DataError as error:
        raise DataError([problem.replace(str(path), path.name) for problem in error.problems]) from None
    return as_photograph(rgb, path.name)


def example() -> Photograph:
    """The photograph of a healthy eye that scikit-image ships, `skimage.data.retina`."""
    from skimage import data

    return as_photograph(np.asarray(data.retina()), "skimage.data.retina()")


def as_photograph(rgb: np.ndarray, name: str) -> Photograph:
    """A photograph with its computed field of view, and without annotation.

    Args:
        rgb: uint8 (height, width, 3).
        name: Name for messages.

    Raises:
        DataError: It is of one colour, or has no round field of view.
    """
    if is_blank(rgb):
        raise DataError(f"{name}: the image is black or of one colour; upload a colour fundus photograph")
    fov = field_of_view(rgb)
    share, on_circle = field_measures(fov)
    if share >= _WHOLE_IMAGE or field_remark(share, on_circle):
        raise DataError(
            f"{name}: no round field of view was found; upload a colour fundus photograph with its dark border"
        )
    sha256 = content_hash(rgb)
    return Photograph(name, rgb, fov, f"{sha256} {field_name('')}", np.zeros(rgb.shape[:2], bool))


def _check_pixels(path: Path) -> None:
    """Check the number of pixels in the header of a file, before they are decoded."""
    try:
        with Image.open(path) as image:
            pixels = image.width * image.height
    except Image.DecompressionBombError:
        pixels = MAX_PIXELS + 1
    except Exception:  # decoders raise many kinds of exceptions on damaged files; `read_rgb` says what is wrong
        return
    if pixels > MAX_PIXELS:
        raise DataError(f"{path.name}: more than {MAX_PIXELS // 1_000_000} million pixels; upload a smaller image")
