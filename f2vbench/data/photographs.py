"""One image at its own resolution: pixels, field of view, annotation, and the square crop for encoders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from f2vbench.data.annotation import Annotation, AnnotationFiles
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
        label: The annotation, or what `annotation` is read from: a bool (height, width) mask of one class, its file, or
            the files of several classes.
        label_values: Values of the file that are foreground, see `f2vbench.data.mask_declaration.declaration`; "" for
            none.
        has_round_field: Whether encoders that crop photographs to their round field may do so.
    """

    name: str
    rgb: np.ndarray
    fov: np.ndarray
    content: str
    label: np.ndarray | Path | Annotation | AnnotationFiles
    label_values: str = ""
    has_round_field: bool = True

    @cached_property
    def annotation(self) -> Annotation:
        """The masks of the classes; read on first access."""
        if isinstance(self.label, AnnotationFiles):
            return self.label.read()
        if isinstance(self.label, Annotation):
            return self.label
        mask = read_mask(self.label, self.label_values) if isinstance(self.label, Path) else self.label
        return Annotation.of_mask(mask)

    @property
    def vessels(self) -> np.ndarray:
        """The annotated mask of a task with one class, bool (height, width)."""
        return self.annotation.mask(0)

    @property
    def counted(self) -> np.ndarray:
        """The field of view, less the pixels that the annotation excludes, bool (height, width)."""
        return self.annotation.counted(self.fov)

    def of_class(self, number: int) -> Photograph:
        """The photograph with the annotation of one of its classes alone."""
        return replace(self, label=self.annotation.of_class(number))

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
        """Targets of a segmentation model, float32 in [0, 1].

        Returns:
            - (classes, size, size), the fraction of each pixel that is of each class.
            - (size, size), 1 for pixels that count.
        """
        masks = (self.annotation.mask(number) for number in range(self.annotation.classes))
        targets = np.stack([self.view.crop(mask.astype(np.float32), size) for mask in masks])
        return targets, self.view.crop(self.counted, size).astype(np.float32)

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
    kind = kind_of_field(row)
    fov = read_mask(Path(row.fov_path), row.get("fov_values", "")) if row.fov_path else field_of_kind(rgb, kind)
    label = AnnotationFiles.of_row(row) if row.get("mask_classes") else Path(row.mask_path)
    return Photograph(str(row.image), rgb, fov, _content(row), label, row.get("mask_values", ""), not kind)


def entry_name(row: Any, size: int) -> str:
    """`Photograph.entry` of a row of a task's index (a Series or a named tuple), without reading the file."""
    return _entry(_content(row), size)


def entry_names(rows: pd.DataFrame, size: int) -> list[str]:
    """`entry_name` of rows of a task's index."""
    fields = rows["field"] if "field" in rows else [""] * len(rows)
    columns = zip(rows["sha256"], rows["fov_sha256"], fields, strict=True)
    return [entry_name(_Content(sha256, fov, field), size) for sha256, fov, field in columns]


class _Content(NamedTuple):
    """The columns of an index that an entry depends on."""

    sha256: str
    fov_sha256: str
    field: str


def _content(row: Any) -> str:
    return f"{row.sha256} {row.fov_sha256 or field_name(kind_of_field(row))}"


def _entry(content: str, size: int) -> str:
    return sha256(canonical_json([content, size]))


Loader = Callable[[str], Photograph]
"""Image id → photograph."""
