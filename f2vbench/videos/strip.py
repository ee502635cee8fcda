"""The strip: a picture of a photograph and its generated frames, with a row for each phase."""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

TILE = 256
"""Side of a video frame on the strip in pixels; a single frame has twice this side."""

_FRAMES_PER_ROW = 4  # the frames of a phase
_PHASES = ("Arterial phase", "Venous phase", "Late phase")
_MARGIN, _GAP, _LABEL, _FOOT = 28, 8, 46, 40  # px
_TITLE_SIZE, _SMALL_SIZE, _NUMBER_SIZE = 24, 18, 18
_INK, _GREY, _PAPER = (20, 20, 20), (110, 110, 110), (255, 255, 255)


@dataclass(frozen=True)
class StripText:
    """The text of a strip.

    Attributes:
        phases: Label the rows by phase: four frames of each, and those after the twelfth.
        footer: Model, weights and photograph; shortened where it is too long.
    """

    phases: bool
    footer: str


def draw_strip(photograph: np.ndarray, frames: np.ndarray, text: StripText) -> bytes:
    """Draw a strip.

    The photograph is on the left, as high as the rows (three at most). Rows of four numbered frames are on the right.

    Args:
        photograph: uint8 (s, s, 3).
        frames: uint8 (t, s, s).
        text: Labels and footer.

    Returns:
        A PNG file.
    """
    tile = TILE if len(frames) > 1 else 2 * TILE
    rows = -(-len(frames) // _FRAMES_PER_ROW)
    columns = min(_FRAMES_PER_ROW, len(frames))
    photograph_side = _rows_height(min(rows, 3), tile) - _LABEL
    left = _MARGIN + photograph_side + 3 * _GAP
    width = max(left + columns * (tile + _GAP) - _GAP + _MARGIN, 2 * _MARGIN + 640)
    page = Image.new("RGB", (width, _MARGIN + _rows_height(rows, tile) + _FOOT + _MARGIN // 2), _PAPER)
    draw = ImageDraw.Draw(page)
    _label(draw, (_MARGIN, _MARGIN), "Photograph")
    page.paste(_picture(photograph, photograph_side), (_MARGIN, _MARGIN + _LABEL))
    for row in range(rows):
        top = _MARGIN + _rows_height(row, tile) + (_GAP if row else 0)
        last = min((row + 1) * _FRAMES_PER_ROW, len(frames))
        _label(draw, (left, top), *_row_label(text, row, last))
        for number in range(row * _FRAMES_PER_ROW, last):
            corner = (left + number % _FRAMES_PER_ROW * (tile + _GAP), top + _LABEL)
            page.paste(_picture(frames[number], tile), corner)
            if len(frames) == 1:
                continue
            draw.text(
                (corner[0] + 9, corner[1] + 6),
                str(number + 1),
                _PAPER,
                _font(_NUMBER_SIZE),
                stroke_width=2,
                stroke_fill=(0, 0, 0),
            )
    footer = _shorten(text.footer, _font(_SMALL_SIZE), page.width - 2 * _MARGIN)
    draw.text((_MARGIN, page.height - _MARGIN // 2 - _FOOT + 14), footer, _GREY, _font(_SMALL_SIZE))
    content = io.BytesIO()
    page.save(content, "PNG")
    return content.getvalue()


def _rows_height(rows: int, tile: int) -> int:
    """Height of rows with their labels in pixels, without the gap before the first row."""
    return rows * (tile + _LABEL) + max(rows - 1, 0) * _GAP


def _row_label(text: StripText, row: int, last: int) -> tuple[str, str]:
    """Title and subtitle of a row of frames."""
    first = row * _FRAMES_PER_ROW + 1
    numbers = f"frames {first} to {last}" if last > first else f"frame {first}"
    if not text.phases:
        return ("Generated frame", "") if first == last == 1 else ("Generated frames", numbers)
    return (_PHASES[row], numbers) if row < len(_PHASES) else ("Later than in training", numbers)


def _label(draw: ImageDraw.ImageDraw, corner: tuple[int, int], title: str, subtitle: str = "") -> None:
    """Write a title above a picture, and a smaller grey subtitle after it."""
    left, base = corner[0], corner[1] + _LABEL - 14
    draw.text((left, base), title, _INK, _font(_TITLE_SIZE), anchor="ls")
    offset = draw.textlength(title, _font(_TITLE_SIZE)) + 12
    draw.text((left + offset, base), subtitle, _GREY, _font(_SMALL_SIZE), anchor="ls")


def _picture(pixels: np.ndarray, side: int) -> Image.Image:
    method = cv2.INTER_AREA if side < pixels.shape[0] else cv2.INTER_CUBIC
    return Image.fromarray(cv2.resize(pixels, (side, side), interpolation=method)).convert("RGB")


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, Aileron, at a size in pixels."""
    return ImageFont.load_default(size)


def _shorten(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> str:
    """The text, without its middle where it is wider than ``width`` pixels; the font has Latin letters only."""
    kept = text.encode("latin-1", "replace").decode("latin-1")
    while font.getlength(kept) > width and len(kept) > 8:
        half = (len(kept) - 2) // 2
        kept = f"{kept[: half - 1].rstrip()}…{kept[len(kept) - half + 1 :].lstrip()}"
    return kept
