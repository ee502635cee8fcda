"""Read image files as arrays: photographs and masks.

Supported formats are PNG, JPEG, JPEG 2000, TIFF, GIF, WebP, PPM/PGM and BMP; PPM, PGM and BMP may be gzipped
(``im0001.ppm.gz``). DICOM files need the extra ``dicom`` (`f2vbench.data.dicom`).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from f2vbench.data.dicom import decode_dicom, is_dicom
from f2vbench.data.mask_declaration import ClassDeclaration
from f2vbench.data.mask_values import class_bits, colours_of, foreground
from f2vbench.errors import DataError

Photo: TypeAlias = "np.ndarray | Image.Image | str | Path"
"""A photograph: a uint8 (h, w, 3) RGB array, a Pillow image, or the path of a file."""

MAX_PIXELS = 80_000_000
"""More than any fundus camera produces; a small file with more pixels is an error or a decompression bomb."""

_MAX_BYTES = 6 * MAX_PIXELS
_ORIENTATION_TAG = 0x0112
_POINTERS = (b"version https://git-lfs", b"/annex/objects/")
_TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda pixels: pixels,
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: np.swapaxes(pixels, 0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(np.swapaxes(pixels, 0, 1), 2),
    8: np.rot90,
}


def read_rgb(path: str | Path) -> np.ndarray:
    """Read a photograph.

    Palettes are converted to their colours, grey is repeated in three channels, transparent pixels are blended with
    black, 16-bit values are divided by 257, and the EXIF orientation is applied.

    Args:
        path: The image file.

    Returns:
        uint8 (height, width, 3), RGB, upright.

    Raises:
        DataError: The file is missing, empty, truncated or of an unknown format, has more than `MAX_PIXELS` pixels, or
            has 32-bit values.
    """
    return _as_rgb(_decode(Path(path)), str(path))


def read_part(path: str | Path, part: str) -> np.ndarray:
    """Read a photograph, or a part of it.

    Args:
        path: The image file.
        part: "" for the whole image; "mirrored" for left and right swapped; "left" or "right" for that half; "left-50"
            for the left half without its last 50 rows.

    Returns:
        uint8 (height, width, 3), see `read_rgb`.

    Raises:
        DataError: As in `read_rgb`, or the part has no pixels.
        ValueError: Unknown part.
    """
    rgb = read_rgb(path)
    if part in ("", "mirrored"):
        return rgb if not part else np.ascontiguousarray(rgb[:, ::-1])
    match = re.fullmatch(r"(left|right)(?:-(\d+))?", part)
    if match is None:
        raise ValueError(f"unknown part {part!r} of an image")
    height, middle = rgb.shape[0] - int(match[2] or 0), rgb.shape[1] // 2
    if height < 1 or middle < 1:
        raise DataError(f"{path}: {rgb.shape[1]} × {rgb.shape[0]} pixels are too few for the part {part}")
    return np.ascontiguousarray(rgb[:height, :middle] if match[1] == "left" else rgb[:height, -middle:])


def read_mask(path: str | Path, declared: str = "", key: str = "mask_values") -> np.ndarray:
    """Read a mask: vessels, lesions or a field of view.

    Files with 0/1, 0/255 and 16-bit values, masks with JPEG noise, and labels in RITE's colours (red, blue, green and
    white at full strength) give the same mask; see `f2vbench.data.mask_values.foreground`. A file of zeros is a mask
    without foreground. The pixels are upright: an EXIF orientation is applied, as in `read_rgb`.

    Args:
        path: The image file.
        declared: The foreground's values, as `f2vbench.data.mask_declaration.declaration` writes them; "" for none.
        key: Key of the task card that declares the values, for the message.

    Returns:
        bool (height, width).

    Raises:
        DataError: As in `read_rgb`, or the file has several values or colours and none are declared.
    """
    pixels = _decode(Path(path))
    try:
        return foreground(pixels, declared)
    except DataError as error:
        raise DataError(
            f"{path}: not a mask of two values; {error}: list those that count as foreground in the task card (a copy "
            f'of it in ./tasks), as in `{key}: [1, 2]` or `{key}: [">127"]`, or save the mask with 0 and 255'
        ) from None


def read_class_bits(path: str | Path, declared: ClassDeclaration) -> tuple[np.ndarray, np.ndarray]:
    """Read a mask whose values are several classes.

    Args:
        path: The image file.
        declared: What each value means.

    Returns:
        Classes as bits, and the pixels that do not count, as `f2vbench.data.mask_values.class_bits`.

    Raises:
        DataError: As in `read_rgb`, or the file has values that are not declared.
    """
    pixels = _decode(Path(path))
    try:
        return class_bits(pixels, declared)
    except DataError as error:
        raise DataError(
            f"{path}: {error}: add each of them, in the task card, to `values` of a class, to `background_values` "
            f"(now [{declared.background}]) or to `ignore_values`"
        ) from None


def mask_colours(path: str | Path) -> list[str]:
    """The colours of the foreground of a mask that `read_mask` reads, as ``#rrggbb``; empty for grey masks.

    Args:
        path: The image file.

    Raises:
        DataError: As in `read_rgb`.
    """
    pixels = _decode(Path(path))
    values = np.unique(pixels.max(axis=2)) if pixels.ndim == 3 else np.zeros(0)
    return colours_of(pixels, pixels.max(axis=2) > 0) if len(values) == 2 else []


def exif_orientation(path: str | Path) -> int:
    """EXIF orientation of an image file, 1 (upright) to 8; 1 if there is none or the file is unreadable."""
    try:
        with Image.open(Path(path)) as image:
            orientation = int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # decoders raise many kinds of exceptions on damaged files, which `read_rgb` reports
        return 1
    return orientation if orientation in _TURNS else 1


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels as stored, turned upright by an EXIF orientation.

    Args:
        pixels: (height, width[, 3]).
        orientation: 1 to 8.
    """
    return np.ascontiguousarray(_TURNS[orientation](pixels))


def rgb_images(images: Iterable[Any]) -> list[np.ndarray]:
    """Photographs as arrays: arrays themselves, Pillow images and paths.

    Args:
        images: uint8 (h, w, 3) RGB arrays, Pillow images (their EXIF orientation is applied) or paths.

    Returns:
        uint8 (h, w, 3) RGB arrays.

    Raises:
        DataError: ``images`` is a single photograph, a file can't be read, or an image is something else or has no
            pixel; the message says which.
    """
    if isinstance(images, str | Path | Image.Image) or not isinstance(images, Iterable):
        raise DataError(f"a list of photographs is needed, got a {type(images).__name__}: write [photograph]")
    return [_rgb_image(image, position) for position, image in enumerate(images)]


def _rgb_image(image: Any, position: int) -> np.ndarray:
    if isinstance(image, str | Path):
        return read_rgb(image)
    if isinstance(image, Image.Image):
        try:
            image = _as_rgb(_pixels_of(ImageOps.exif_transpose(image)), f"image {position}")
        except (OSError, SyntaxError, ValueError) as error:  # Pillow reads the pixels of a file only now
            raise DataError(f"image {position}: unreadable ({error})") from error
    if not isinstance(image, np.ndarray):
        raise DataError(f"image {position}: must be an array, a Pillow image or a path, got a {type(image).__name__}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise DataError(f"image {position}: must be a uint8 (h, w, 3) RGB array, got {image.dtype} {image.shape}")
    return image


def content_hash(pixels: np.ndarray) -> str:
    """SHA-256 (hex) of dtype, shape and decoded pixels; lossless copies in other formats have the same hash."""
    digest = hashlib.sha256(f"{pixels.dtype.str}{pixels.shape}".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def _as_rgb(pixels: np.ndarray, source: str) -> np.ndarray:
    """Decoded pixels as uint8 (height, width, 3)."""
    if pixels.dtype.kind == "f" or pixels.max() > 65535 or pixels.min() < 0:
        raise DataError(f"{source}: {pixels.dtype} values are not supported in photographs: save it with 8 or 16 bits")
    if pixels.dtype != np.uint8:
        pixels = np.rint(pixels / 257).astype(np.uint8)
    return np.ascontiguousarray(pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2))


def _decode(path: Path) -> np.ndarray:
    """Pixels as stored in the file, (height, width) or (height, width, 3); uint8, uint16, int32 or float32."""
    try:
        content = _content(path)
        if not content:
            raise DataError(f"{path}: the file is empty (0 bytes): copy or download it again")
        if content.startswith(_POINTERS):
            raise DataError(f"{path}: a pointer to a file that is not here: fetch it (git lfs pull, git annex get)")
        if is_dicom(path, content):
            return decode_dicom(path, content, MAX_PIXELS)
        with Image.open(io.BytesIO(content)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataError(_too_large(path, f"{image.width} × {image.height} pixels"))
            if _is_deep_colour(image):
                return _decode_deep_colour(path, content, image)
            return _pixels_of(ImageOps.exif_transpose(image))
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"{path}: file not found") from None
    except Image.DecompressionBombError:
        raise DataError(_too_large(path, "its size")) from None
    except Exception as error:  # decoders raise many kinds of exceptions on damaged files
        reason = "unknown image format" if isinstance(error, UnidentifiedImageError) else error
        raise DataError(f"{path}: unreadable as an image ({reason}): copy or download it again") from error


def _content(path: Path) -> bytes:
    if path.suffix.lower() != ".gz":
        return path.read_bytes()
    with gzip.open(path) as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise DataError(_too_large(path, "its unpacked size"))
    return content


def _too_large(path: Path, what: str) -> str:
    return f"{path}: {what} exceeds the limit of {MAX_PIXELS:,} pixels: reduce the image"


def _pixels_of(image: Image.Image) -> np.ndarray:
    """Pixels as grey or RGB; palettes, transparency and other colour spaces are converted."""
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return np.array(Image.alpha_composite(black, image.convert("RGBA")).convert("RGB"))
    if image.mode == "1":
        return np.array(image.convert("L"))
    if image.mode.startswith("I;16"):
        return np.array(image).astype(np.uint16)
    return np.array(image if image.mode in ("L", "RGB", "I", "F") else image.convert("RGB"))


def _is_deep_colour(image: Image.Image) -> bool:
    """Whether the file has 16 bits per channel that Pillow would reduce to 8 (it keeps them in grey images only)."""
    tiles: list[Any] = getattr(image, "tile", [])
    return image.mode in ("LA", "RGB", "RGBA") and any(";16" in str(tile[3]) for tile in tiles)


def _decode_deep_colour(path: Path, content: bytes, image: Image.Image) -> np.ndarray:
    if image.getexif().get(_ORIENTATION_TAG, 1) != 1:
        raise DataError(f"{path}: 16-bit colour with an EXIF orientation is not supported: save the image upright")
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise DataError(f"{path}: unreadable as an image with 16-bit colour: save it as PNG or with 8 bits")
    if pixels.ndim == 2:
        return pixels
    rgb = pixels[..., 2::-1]
    if pixels.shape[2] == 4:
        rgb = np.rint(rgb * (pixels[..., 3:] / 65535)).astype(np.uint16)
    return np.ascontiguousarray(rgb)
