"""Image files as arrays: photographs, labels, and the field of view of a photograph.

PNG, JPEG, TIFF, GIF, PPM/PGM and BMP are read, the last three also gzipped (``im0001.ppm.gz``).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageOps

from f2vbench.errors import DataError

# No fundus camera makes more; a small file that claims more is a mistake or a decompression bomb.
MAX_PIXELS = 80_000_000
_MAX_BYTES = 6 * MAX_PIXELS

# Raise it when `field_of_view` changes: features of photographs without a given mask are then made again.
FIELD_OF_VIEW_VERSION = 1

_ORIENTATION_TAG = 0x0112

# The field of view is searched in a small copy: half a pixel of it is 0.4 % of the disc's radius.
_WORKING_EDGE = 256
# Where to cut between the darkest and the bright part of a photograph; rims are dark, so low cuts first.
_CUTS = (0.03, 0.05, 0.07, 0.1, 0.14, 0.2, 0.28)
# The inner side of the border must be brighter than its outer side by this factor, or there is no border.
# The real borders tried had 3 to 30, borders found in crops without any at most 1.1.
_LEAST_CONTRAST = 1.2
_PIXEL = np.ones((3, 3), np.uint8)


def read_rgb(path: str | Path) -> np.ndarray:
    """A photograph as uint8 (height, width, 3), RGB, upright.

    Palettes are replaced by their colours, grey is repeated in three channels, what is transparent is laid on
    black, 16-bit values are divided by 257, and the orientation in EXIF is applied.

    Raises:
        DataError: missing, empty, truncated or unknown file, more than `MAX_PIXELS`, or 32-bit values.
    """
    pixels = _decode(Path(path))
    if pixels.dtype.kind == "f" or pixels.max() > 65535 or pixels.min() < 0:
        raise DataError(f"{path}: {pixels.dtype} values can't be read as a photograph: save it with 8 or 16 bits")
    if pixels.dtype != np.uint8:
        pixels = np.rint(pixels / 257).astype(np.uint8)
    return np.ascontiguousarray(pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2))


def read_part(path: str | Path, part: str) -> np.ndarray:
    """A part of an image file, as `read_rgb` gives it.

    Args:
        part: "" for all of it; "mirrored", left and right swapped; "left" or "right", that half, with "-50" behind it
            for a half without its last 50 rows.

    Raises:
        DataError: as `read_rgb`, or nothing is left of the image.
        ValueError: there is no such part.
    """
    rgb = read_rgb(path)
    if part in ("", "mirrored"):
        return rgb if not part else np.ascontiguousarray(rgb[:, ::-1])
    found = re.fullmatch(r"(left|right)(?:-(\d+))?", part)
    if found is None:
        raise ValueError(f"there is no part {part!r} of an image")
    height, middle = rgb.shape[0] - int(found[2] or 0), rgb.shape[1] // 2
    if height < 1 or middle < 1:
        raise DataError(f"{path}: {rgb.shape[1]} × {rgb.shape[0]} pixels are too few to take its {part} half")
    return np.ascontiguousarray(rgb[:height, :middle] if found[1] == "left" else rgb[:height, -middle:])


def read_label(path: str | Path) -> np.ndarray:
    """A mask drawn by someone as bool (height, width).

    Foreground is where the brightest colour channel is above half of the largest value in this very file: so
    0/1, 0/255 and 16-bit files, masks with JPEG noise, and coloured labels (any colour at full strength, white
    included) all read the same. A file of zeros is a mask without foreground.

    Raises:
        DataError: as `read_rgb`.
    """
    pixels = _decode(Path(path))
    brightest = pixels.max(axis=2) if pixels.ndim == 3 else pixels
    peak = float(brightest.max())
    return brightest > peak / 2 if peak > 0 else np.zeros(brightest.shape, bool)


def content_hash(pixels: np.ndarray) -> str:
    """SHA-256 (hex) of type, shape and decoded pixels: the same for a lossless copy in another format."""
    digest = hashlib.sha256(f"{pixels.dtype.str}{pixels.shape}".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def field_of_view(rgb: np.ndarray) -> np.ndarray:
    """The illuminated part of a photograph: bool (height, width) for uint8 (height, width, 3).

    Several brightness cuts are tried; each gives its largest connected region with holes filled, thin frames
    and text opened away. The region wins whose border is the sharpest nearly all along, so a dark rim does not
    shrink it. Where no region has a border, the photograph is a crop that is illuminated everywhere (or has
    no light at all), and all of it is True.
    """
    height, width = rgb.shape[:2]
    brightness = _small_brightness(rgb)
    dark, bright = np.percentile(brightness, (1, 90))
    best, best_contrast = None, _LEAST_CONTRAST
    for cut in _CUTS:
        region = _region_above(brightness, dark + cut * (bright - dark))
        contrast = 0.0 if region is None else _border_contrast(brightness, region)
        if contrast > best_contrast:
            best, best_contrast = region, contrast
    if best is None:
        return np.ones((height, width), bool)
    return cv2.resize(best.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) > 0.5


def angiogram_field(frames: np.ndarray) -> np.ndarray:
    """The part of the picture that an angiogram shows, bool (h, w) for uint8 frames (t, h, w).

    `field_of_view` of the brightest value that each pixel takes, so that frames before the dye comes don't count.
    """
    return field_of_view(np.repeat(frames.max(axis=0)[..., None], 3, axis=2))


def _decode(path: Path) -> np.ndarray:
    """Pixels as the file holds them, (height, width) or (height, width, 3); uint8, uint16, int32 or float32."""
    try:
        content = _content(path)
        if not content:
            raise DataError(f"{path}: the file is empty (0 bytes): copy or download it again")
        with Image.open(io.BytesIO(content)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataError(_too_large(path, f"{image.width} × {image.height} pixels"))
            if _is_deep_colour(image):
                return _decode_deep_colour(path, content, image)
            return _pixels_of(ImageOps.exif_transpose(image))
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except Image.DecompressionBombError:
        raise DataError(_too_large(path, "its size")) from None
    except Exception as error:  # decoders raise a dozen kinds of exceptions on damaged files
        reason = "no known image format" if isinstance(error, Image.UnidentifiedImageError) else error
        raise DataError(f"{path}: can't be read as an image ({reason}): copy or download it again") from error


def _content(path: Path) -> bytes:
    if path.suffix.lower() != ".gz":
        return path.read_bytes()
    with gzip.open(path) as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise DataError(_too_large(path, "its unpacked size"))
    return content


def _too_large(path: Path, what: str) -> str:
    return f"{path}: {what} is beyond the {MAX_PIXELS:,} pixels that are read: scale the image down"


def _pixels_of(image: Image.Image) -> np.ndarray:
    """Palette, transparency and colour spaces resolved to grey or RGB."""
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return np.array(Image.alpha_composite(black, image.convert("RGBA")).convert("RGB"))
    if image.mode == "1":
        return np.array(image.convert("L"))
    if image.mode.startswith("I;16"):
        return np.array(image).astype(np.uint16)
    return np.array(image if image.mode in ("L", "RGB", "I", "F") else image.convert("RGB"))


def _is_deep_colour(image: Image.Image) -> bool:
    """Whether the file has 16 bits a channel that Pillow would cut to 8 (it keeps them in grey images only)."""
    tiles: list[Any] = getattr(image, "tile", [])
    return image.mode in ("LA", "RGB", "RGBA") and any(";16" in str(tile[3]) for tile in tiles)


def _decode_deep_colour(path: Path, content: bytes, image: Image.Image) -> np.ndarray:
    if image.getexif().get(_ORIENTATION_TAG, 1) != 1:
        raise DataError(f"{path}: 16-bit colour with an EXIF orientation can't be read: save the image upright")
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise DataError(f"{path}: can't be read as an image with 16-bit colour: save it as PNG or with 8 bits")
    if pixels.ndim == 2:
        return pixels
    rgb = pixels[..., 2::-1]
    if pixels.shape[2] == 4:
        rgb = np.rint(rgb * (pixels[..., 3:] / 65535)).astype(np.uint16)
    return np.ascontiguousarray(rgb)


def _small_brightness(rgb: np.ndarray) -> np.ndarray:
    """Brightest channel of a copy with edges of at most `_WORKING_EDGE`, strokes and noise smoothed away."""
    height, width = rgb.shape[:2]
    scale = min(1.0, _WORKING_EDGE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    red, green, blue = cv2.split(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))
    return cv2.medianBlur(cv2.max(cv2.max(red, green), blue), 5)


def _region_above(brightness: np.ndarray, cut: float) -> np.ndarray | None:
    """The largest region brighter than ``cut``, holes filled, as uint8 0/1; None if nothing is brighter."""
    radius = max(1, round(0.02 * max(brightness.shape)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    opened = cv2.morphologyEx((brightness > cut).astype(np.uint8), cv2.MORPH_OPEN, disc)
    contours, _ = cv2.findContours(opened, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return None
    largest = max(contours, key=cv2.contourArea)
    return cv2.drawContours(np.zeros_like(opened), [largest], -1, 1, cv2.FILLED)


def _border_contrast(brightness: np.ndarray, region: np.ndarray) -> float:
    """How much brighter the inner side of the region's border is than its outer side, nearly all along.

    The tenth percentile of the inner side over the ninetieth of the outer side; the pixels on the border
    itself count on neither side, nor do borders that the image's edge cuts off. 0 without an outer side.
    """
    inner, outer = cv2.erode(region, _PIXEL), cv2.dilate(region, _PIXEL)
    inside = brightness[(inner > cv2.erode(inner, _PIXEL, iterations=2))]
    outside = brightness[(outer < cv2.dilate(outer, _PIXEL, iterations=2))]
    if not inside.size or not outside.size:
        return 0.0
    # The 4 grey levels keep sensor noise in a black surround from looking like contrast.
    return float((np.percentile(inside, 10) + 4) / (np.percentile(outside, 90) + 4))
