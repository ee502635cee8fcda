"""Which values of a mask file are foreground: two values, values that a card declares, or an error.

A file of the values 0, 1, 2 and 3 may mean background, artery, vein and crossing, or grades of certainty. A threshold
would drop some of them silently, so that such files are read only with a declaration: `mask_values` (vessels) and
`fov_values` (fields of view) of a task card. Compression noise is no reason for an error.
"""

from __future__ import annotations

import numpy as np

from f2vbench.data.mask_declaration import ClassDeclaration
from f2vbench.errors import DataError

ARTERY_VEIN_COLOURS = {"#ff0000": "red", "#0000ff": "blue", "#00ff00": "green", "#ffffff": "white"}
"""Colours of artery, vein, crossing and uncertain vessels in RITE's labels, all of which are vessel."""

_FEW = 16  # exact labels have at most this many values, noise usually has more
_MIN_PEAK = 64  # below it, values are numbers of classes and not grey levels
_NEAR = 8  # distance in grey levels of 255 that lossy compression of high quality reaches
_BETWEEN = (0.15, 0.85)  # share of the largest value; JPEG noise of quality 50 and more stays outside these
# Pixels between, per pixel of full strength. Measured on 9 vessel masks: at most 0.11 in JPEG files of quality 50 to
# 100, at least 0.6 in JPEG files of artery/vein classes, 0.2 to 1.5 in masks that were resized with interpolation.
_MAX_BETWEEN = 0.25
_MAX_SPIKE = 0.25  # share of a single value among the pixels between
_LISTED = 6


def foreground(pixels: np.ndarray, declared: str = "") -> np.ndarray:
    """The foreground of a mask.

    Without a declaration, the pixels whose brightest channel exceeds half of the largest value, in masks of two values
    with or without compression noise. Red, blue, green and white at full strength count as one value.

    Args:
        pixels: (height, width) or (height, width, 3), not negative.
        declared: The foreground's values, as `f2vbench.data.mask_declaration.declaration` writes them; "" for none.

    Returns:
        bool (height, width).

    Raises:
        DataError: There are three or more values or several other colours that are no compression noise, or two values
            of which none is dark; the message lists them and does not name the file.
    """
    brightest = pixels.max(axis=2) if pixels.ndim == 3 else pixels
    if declared:
        return _declared_foreground(pixels, brightest, declared.split(","))
    values, counts = np.unique(brightest, return_counts=True)
    peak = float(values[-1])
    if peak == 0:
        return np.zeros(brightest.shape, bool)
    if len(values) == 2 and values[0] > peak / 2:
        raise DataError(f"both of its values are bright: {_list_values(values, counts)}")
    if len(values) > 2 and not _is_noise(values, counts):
        raise DataError(f"it has {len(values)} values: {_list_values(values, counts)}")
    found: np.ndarray = brightest > peak / 2
    colours = colours_of(pixels, found)
    if len(values) <= 2 and len(colours) > 1 and not set(colours) <= ARTERY_VEIN_COLOURS.keys():
        raise DataError(f"it has {len(colours)} colours: {', '.join(colours[:_LISTED])}")
    return found


def class_bits(pixels: np.ndarray, declared: ClassDeclaration) -> tuple[np.ndarray, np.ndarray]:
    """The classes of each pixel of a mask with several values.

    Args:
        pixels: (height, width) or (height, width, 3), not negative.
        declared: What each value means.

    Returns:
        - uint8 or uint32 (height, width); bit i is class i of the declaration.
        - bool (height, width), the pixels that do not count.

    Raises:
        DataError: A value is not declared; the message lists such values and does not name the file.
    """
    brightest = pixels.max(axis=2) if pixels.ndim == 3 else pixels
    bits = np.zeros(brightest.shape, np.uint8 if len(declared.classes) <= 8 else np.uint32)
    known = np.zeros(brightest.shape, bool)
    for number, (_, values) in enumerate(declared.classes):
        found = _declared_foreground(pixels, brightest, values.split(",")) if values else known & False
        bits |= found.astype(bits.dtype) << bits.dtype.type(number)
        known |= found
    ignored = _declared_foreground(pixels, brightest, declared.ignore.split(",")) if declared.ignore else known & False
    known |= ignored
    if declared.background:
        known |= _declared_foreground(pixels, brightest, declared.background.split(","))
    if not known.all():
        raise DataError(f"undeclared {_undeclared(pixels, brightest, ~known)}")
    return bits, ignored


def _undeclared(pixels: np.ndarray, brightest: np.ndarray, unknown: np.ndarray) -> str:
    """The undeclared values with their shares of the pixels; colours where a file has them."""
    inside = pixels[unknown]
    if pixels.ndim == 3 and pixels.dtype == np.uint8 and (inside != inside[:, :1]).any():
        colours = colours_of(pixels, unknown)
        more = f" and {len(colours) - _LISTED} others" if len(colours) > _LISTED else ""
        return f"colours {', '.join(colours[:_LISTED])}{more} ({_share(unknown.mean())} of the pixels)"
    values, counts = np.unique(brightest[unknown], return_counts=True)
    shown = sorted(np.argsort(-counts, kind="stable")[:_LISTED])
    listed = ", ".join(f"{values[at]:g} ({_share(counts[at] / brightest.size)} of the pixels)" for at in shown)
    return f"values {listed}" + (f" and {len(values) - _LISTED} others" if len(values) > _LISTED else "")


def colours_of(pixels: np.ndarray, mask: np.ndarray) -> list[str]:
    """The colours inside a mask as ``#rrggbb``, sorted; empty for grey images and for other types than uint8."""
    if pixels.ndim != 3 or pixels.dtype != np.uint8:
        return []
    red, green, blue = (pixels[..., channel][mask].astype(np.uint32) for channel in range(3))
    return [f"#{colour:06x}" for colour in np.unique(red << 16 | green << 8 | blue)]


def _declared_foreground(pixels: np.ndarray, brightest: np.ndarray, values: list[str]) -> np.ndarray:
    found = np.zeros(brightest.shape, bool)
    for value in values:
        if value.startswith("#"):
            colour = [int(value[start : start + 2], 16) for start in (1, 3, 5)]
            as_colours = pixels if pixels.ndim == 3 else pixels[..., None]
            found |= (as_colours == np.array(colour)).all(axis=2)
        else:
            found |= brightest > int(value[1:]) if value.startswith(">") else brightest == int(value)
    return found


def _is_noise(values: np.ndarray, counts: np.ndarray) -> bool:
    """Whether the values of a mask are two with compression noise around them."""
    peak = float(values[-1])
    if values.dtype.kind != "f" and peak < _MIN_PEAK:
        return False
    levels = values.astype(np.float64) / peak
    if len(values) <= _FEW:
        dark, full = levels * 255 <= _NEAR, levels * 255 >= 255 - _NEAR
        return bool((dark | full).all() and dark.sum() > 1 and full.sum() > 1)
    between = (levels > _BETWEEN[0]) & (levels < _BETWEEN[1])
    number = int(counts[between].sum())
    if number > _MAX_BETWEEN * counts[levels >= _BETWEEN[1]].sum():
        return False
    return number <= _FEW or float(counts[between].max()) <= _MAX_SPIKE * number


def _list_values(values: np.ndarray, counts: np.ndarray) -> str:
    """The values with their shares of the pixels, the most frequent ones if there are many."""
    shown = sorted(np.argsort(-counts, kind="stable")[:_LISTED])
    listed = ", ".join(f"{values[at]:g} ({_share(counts[at] / counts.sum())})" for at in shown)
    return listed + (" and others" if len(values) > _LISTED else "")


def _share(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 else "<0.1%"
