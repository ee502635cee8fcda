"""What adapters see of one image: pixels, vessels, field of view, and the encoder's square."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from f2vbench.data.field_of_view import FIELD_OF_VIEW_VERSION, field_of_view
from f2vbench.data.images import content_hash, read_mask, read_part
from f2vbench.data.square_crop import SquareView
from f2vbench.errors import DataError
from f2vbench.utils.files import canonical_json, sha256


@dataclass(frozen=True)
class Photograph:
    """One photograph at its own resolution.

    Attributes:
        name: image id.
        rgb: (height, width, 3) uint8.
        fov: (height, width) bool, the field of view.
        content: what decides the features of it: hashes of the pixels and of the field of view.
        label: (height, width) bool, or the file it is read from when it is first asked for.
    """

    name: str
    rgb: np.ndarray
    fov: np.ndarray
    content: str
    label: np.ndarray | Path

    @cached_property
    def vessels(self) -> np.ndarray:
        """(height, width) bool, the vessels as labelled."""
        return read_mask(self.label) if isinstance(self.label, Path) else self.label

    @cached_property
    def view(self) -> SquareView:
        """The square around the field of view that encoders are shown."""
        return SquareView.around(self.fov)

    def square(self, size: int) -> np.ndarray:
        """(size, size, 3) uint8 for encoders; at the photograph's own resolution where ``size`` is 0."""
        return self.view.crop(self.rgb, size or self.view.side)

    def square_of_field(self, size: int) -> np.ndarray:
        """(size, size, 3) uint8, black outside the field of view: what generators are trained on."""
        inside = self.view.crop(self.fov, size)
        return self.view.crop(self.rgb * self.fov[..., None], size) * inside[..., None]

    def square_targets(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """(size, size) float32: the part of each pixel that is vessel, and 1 inside the field of view."""
        inside = self.view.crop(self.fov, size)
        return self.view.crop(self.vessels.astype(np.float32), size), inside.astype(np.float32)

    def entry(self, size: int) -> str:
        """Name in the feature store at a size of the square; follows the content, never the file name."""
        return _entry(self.content, size)


def open_photograph(row: pd.Series) -> Photograph:
    """Read one row of a task's index; the field of view is computed where no mask is given.

    Raises:
        DataError: the file is unreadable, or no longer what the index says.
    """
    rgb = read_part(Path(row.path), row.get("part", ""))
    if content_hash(rgb) != row.sha256:
        raise DataError(f"{row.path}: the file changed while the run was going on; run again")
    fov = read_mask(Path(row.fov_path)) if row.fov_path else field_of_view(rgb)
    return Photograph(str(row.image), rgb, fov, _content(row), Path(row.mask_path))


def entry_name(row: Any, size: int) -> str:
    """`Photograph.entry` of a row of a task's index (a series or named tuple), without opening the file."""
    return _entry(_content(row), size)


def _content(row: Any) -> str:
    return f"{row.sha256} {row.fov_sha256 or f'computed-{FIELD_OF_VIEW_VERSION}'}"


def _entry(content: str, size: int) -> str:
    return sha256(canonical_json([content, size]))


Loader = Callable[[str], Photograph]
