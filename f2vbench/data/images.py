"""Image files as arrays: photographs, labels, and the field of view of a photograph.

PNG, JPEG, TIFF, GIF, PPM/PGM and BMP are read, the last three also gzipped (``im0001.ppm.gz``).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageOps

from f2vbench.errors import DataError

# No fundus camera makes more; a small file that claims more is a mistake or a decompression bomb.
MAX_PIXELS = 80_000_000
_MAX_BYTES = 6 * MAX_PIXELS


_ORIENTATION_TAG = 0x0112


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


def read_mask(path: str | Path) -> np.ndarray:
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


def check_rgb_images(images: Sequence[np.ndarray]) -> None:
    """Check that images are uint8 (h, w, 3) RGB arrays with at least one pixel.

    Raises:
        DataError: an image has another shape or type; the message says which.
    """
    for position, image in enumerate(images):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise DataError(f"image {position}: must be a uint8 (h, w, 3) RGB array, got {image.dtype} {image.shape}")


def content_hash(pixels: np.ndarray) -> str:
    """SHA-256 (hex) of type, shape and decoded pixels: the same for a lossless copy in another format."""
    digest = hashlib.sha256(f"{pixels.dtype.str}{pixels.shape}".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


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
