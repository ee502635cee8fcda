"""One image at its own resolution: pixels, field of view, vessel mask, and the square crop for encoders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from f2vbench.data.field_of_view import field_name, field_of_kind, kind_of_field
from f2vbench.data.images import content_hash, read_mask, read_part
from f2vbench.data.square_crop import SquareView
from f2vbench.errors import DataError
from f2vbench.utils.files import canonical_json, sha256


@dataclass(frozen=True)
class Photograph:
    """One photograph at its own resolution.

    Attributes:
        name: Image id.
        rgb: uint8 (height, width, 3).
        fov: bool (height, width), the field of view.
        content: Hashes of the pixels and of the field of view, which together determine the features.
        label: The vessel mask, bool (height, width), or the file from which `vessels` reads it.
        label_values: Values of the file that are vessel, see `f2vbench.data.mask_declaration.declaration`; "" for none.
        has_round_field: Whether encoders that crop photographs to their round field may do so.
    """

    name: str
    rgb: np.ndarray
    fov: np.ndarray
    content: str
    label: np.ndarray | Path
    label_values: str = ""
    has_round_field: bool = True

    @cached_property
    def vessels(self) -> np.ndarray:
        """The annotated vessel mask, bool (height, width); read on first access."""
        return read_mask(self.label, self.label_values) if isinstance(self.label, Path) else self.label

    @cached_property
    def view(self) -> SquareView:
        """The square around the field of view, which encoders receive."""
        return SquareView.around(self.fov)

    def square(self, size: int) -> np.ndarray:
        """The encoder's input, uint8 (size, size, 3); at the photograph's own resolution if ``size`` is 0."""
        return self.view.crop(self.rgb, size or self.view.side)

    def square_of_field(self, size: int) -> np.ndarray:
        """The generator's input, uint8 (size, size, 3), black outside the field of view."""
        inside = self.view.crop(self.fov, size)
        photograph: np.ndarray = self.view.crop(self.rgb * self.fov[..., None], size) * inside[..., None]
        return photograph

    def square_targets(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Targets of a segmentation model, both float32 (size, size) in [0, 1].

        Returns:
            The vessel fraction of each pixel, and the mask of the field of view.
        """
        inside = self.view.crop(self.fov, size)
        return self.view.crop(self.vessels.astype(np.float32), size), inside.astype(np.float32)

    def entry(self, size: int) -> str:
        """Key in the feature store at one size of the square crop; depends on the content, never on the file name."""
        return _entry(self.content, size)


def open_photograph(row: pd.Series) -> Photograph:
    """Read the image of one row of a task's index; without a mask, the field of view is computed.

    Raises:
        DataError: The file is unreadable, or has changed since the index was built.
    """
    rgb = read_part(Path(row.path), row.get("part", ""))
    if content_hash(rgb) != row.sha256:
        raise DataError(f"{row.path}: the file changed during the run: run again")
    fov = (
        read_mask(Path(row.fov_path), row.get("fov_values", ""))
        if row.fov_path
        else field_of_kind(rgb, kind_of_field(row))
    )
    return Photograph(
        str(row.image), rgb, fov, _content(row), Path(row.mask_path), row.get("mask_values", ""),
        not kind_of_field(row),
    )  # fmt: skip


def entry_name(row: Any, size: int) -> str:
    """`Photograph.entry` of a row of a task's index (a Series or a named tuple), without reading the file."""
    return _entry(_content(row), size)


def _content(row: Any) -> str:
    return f"{row.sha256} {row.fov_sha256 or field_name(kind_of_field(row))}"


def _entry(content: str, size: int) -> str:
    return sha256(canonical_json([content, size]))


Loader = Callable[[str], Photograph]
"""Image id → photograph."""
