"""The strip: a photograph and the frames made from it on one picture, in reading order, phase by phase."""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

TILE = 256
"""Edge of a video's frame on the strip, px; a single frame is shown at twice that."""

_ROW = 4  # frames of a phase
_PHASES = ("Arterial phase", "Venous phase", "Late phase")
_MARGIN, _GAP, _LABEL, _FOOT = 28, 8, 46, 40  # px
_TITLE_SIZE, _SMALL_SIZE, _NUMBER_SIZE = 24, 18, 18
_INK, _GREY, _PAPER = (20, 20, 20), (110, 110, 110), (255, 255, 255)


@dataclass(frozen=True)
class StripText:
    """What stands on a strip beside the pictures.

    Attributes:
        phases: the frames are those of a Fundus2Video: four of each phase, and what comes after the twelfth.
        footer: model, weights and photograph; shortened where it is too long.
    """

    phases: bool
    footer: str


def strip(photograph: np.ndarray, frames: np.ndarray, text: StripText) -> bytes:
    """The strip as a PNG file.

    The photograph stands left, as high as the rows (at most three); right of it rows of four frames, numbered.

    Args:
        photograph: uint8 (s, s, 3).
        frames: uint8 (t, s, s).
    """
    tile = TILE if len(frames) > 1 else 2 * TILE
    rows = -(-len(frames) // _ROW)
    columns = min(_ROW, len(frames))
    large = _rows_height(min(rows, 3), tile) - _LABEL
    left = _MARGIN + large + 3 * _GAP
    width = max(left + columns * (tile + _GAP) - _GAP + _MARGIN, 2 * _MARGIN + 640)
    page = Image.new("RGB", (width, _MARGIN + _rows_height(rows, tile) + _FOOT + _MARGIN // 2), _PAPER)
    draw = ImageDraw.Draw(page)
    _label(draw, (_MARGIN, _MARGIN), "Photograph")
    page.paste(_picture(photograph, large), (_MARGIN, _MARGIN + _LABEL))
    for row in range(rows):
        top = _MARGIN + _rows_height(row, tile) + (_GAP if row else 0)
        last = min((row + 1) * _ROW, len(frames))
        _label(draw, (left, top), *_row_label(text, row, last))
        for number in range(row * _ROW, last):
            place = (left + number % _ROW * (tile + _GAP), top + _LABEL)
            page.paste(_picture(frames[number], tile), place)
            if len(frames) == 1:
                continue
            draw.text(
                (place[0] + 9, place[1] + 6),
                str(number + 1),
                _PAPER,
                _font(_NUMBER_SIZE),
                stroke_width=2,
                stroke_fill=(0, 0, 0),
            )
    footer = _fitting(text.footer, _font(_SMALL_SIZE), page.width - 2 * _MARGIN)
    draw.text((_MARGIN, page.height - _MARGIN // 2 - _FOOT + 14), footer, _GREY, _font(_SMALL_SIZE))
    content = io.BytesIO()
    page.save(content, "PNG")
    return content.getvalue()


def _rows_height(rows: int, tile: int) -> int:
    """Height of so many rows with their labels, without the gap before the first."""
    return rows * (tile + _LABEL) + max(rows - 1, 0) * _GAP


def _row_label(text: StripText, row: int, last: int) -> tuple[str, str]:
    """Title of a row of frames, and what stands small behind it."""
    first = row * _ROW + 1
    numbers = f"frames {first} to {last}" if last > first else f"frame {first}"
    if not text.phases:
        return ("Generated frame", "") if first == last == 1 else ("Generated frames", numbers)
    return (_PHASES[row], numbers) if row < len(_PHASES) else ("Later than trained for", numbers)


def _label(draw: ImageDraw.ImageDraw, place: tuple[int, int], title: str, behind: str = "") -> None:
    """A title whose base line lies a little above the picture, and smaller grey words behind it."""
    left, base = place[0], place[1] + _LABEL - 14
    draw.text((left, base), title, _INK, _font(_TITLE_SIZE), anchor="ls")
    offset = draw.textlength(title, _font(_TITLE_SIZE)) + 12
    draw.text((left + offset, base), behind, _GREY, _font(_SMALL_SIZE), anchor="ls")


def _picture(pixels: np.ndarray, side: int) -> Image.Image:
    method = cv2.INTER_AREA if side < pixels.shape[0] else cv2.INTER_CUBIC
    return Image.fromarray(cv2.resize(pixels, (side, side), interpolation=method)).convert("RGB")


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The typeface that comes with Pillow, Aileron, at a size in px."""
    return ImageFont.load_default(size)


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> str:
    """The text, with its middle left out where it is wider than ``width`` px; the typeface has Latin letters only."""
    kept = text.encode("latin-1", "replace").decode("latin-1")
    while font.getlength(kept) > width and len(kept) > 8:
        half = (len(kept) - 2) // 2
        kept = f"{kept[: half - 1].rstrip()}…{kept[len(kept) - half + 1 :].lstrip()}"
    return kept
