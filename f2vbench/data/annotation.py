"""The annotation of a photograph for segmentation: one mask a class, and the pixels that do not count."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from f2vbench.data.images import read_class_bits, read_mask
from f2vbench.data.mask_declaration import ClassDeclaration
from f2vbench.errors import DataError

IGNORE = "ignore"
"""Name of the file of pixels that do not count, among the files of the classes."""


@dataclass(frozen=True)
class Annotation:
    """Masks of one or several classes, which may overlap.

    Attributes:
        bits: uint8 or uint32 (height, width); bit i is class i.
        classes: Number of classes.
        ignored: bool (height, width), pixels that count neither in training nor in evaluation; None: there are none.
    """

    bits: np.ndarray
    classes: int = 1
    ignored: np.ndarray | None = None

    @classmethod
    def of_mask(cls, mask: np.ndarray) -> Annotation:
        """The annotation of one class by a bool (height, width) mask."""
        return cls(np.ascontiguousarray(mask).view(np.uint8))

    def mask(self, number: int) -> np.ndarray:
        """The mask of a class, bool (height, width)."""
        found: np.ndarray = self.bits & self.bits.dtype.type(1 << number) != 0
        return found

    def counted(self, fov: np.ndarray) -> np.ndarray:
        """The pixels of a field of view that count, bool (height, width)."""
        return fov if self.ignored is None else fov & ~self.ignored

    def of_class(self, number: int) -> Annotation:
        """The annotation of one of the classes alone."""
        return Annotation(self.mask(number).view(np.uint8), 1, self.ignored)


@dataclass(frozen=True)
class AnnotationFiles:
    """Where the annotation of a photograph is stored, with several classes.

    Attributes:
        declared: What the values of the files mean.
        values: The file whose values are the classes; None where each class has a file.
        files: Class → its file, and `IGNORE` → that of the pixels that do not count. A class without a file is absent.
        shape: Height and width, for photographs without any file.
    """

    declared: ClassDeclaration
    values: Path | None
    files: Mapping[str, Path]
    shape: tuple[int, int]

    @classmethod
    def of_row(cls, row: Mapping[Any, Any]) -> AnnotationFiles:
        """The files of a row of a task's index that has the column ``mask_classes``."""
        files = {name: Path(path) for name, path in json.loads(row["mask_files"] or "{}").items()}
        values = Path(row["mask_path"]) if row["mask_path"] else None
        shape = int(row["height"]), int(row["width"])
        return cls(ClassDeclaration.parse(row["mask_classes"]), values, files, shape)

    def read(self) -> Annotation:
        """Read the files.

        Raises:
            DataError: A file is unreadable, of another size, or has values that are not declared.
        """
        if self.values is not None:
            bits, ignored = read_class_bits(self.values, self.declared)
            return Annotation(bits, len(self.declared.classes), ignored if ignored.any() else None)
        bits = np.zeros(self.shape, np.uint8 if len(self.declared.classes) <= 8 else np.uint32)
        for number, (name, values) in enumerate(self.declared.classes):
            if name in self.files:
                bits |= self._read(name, values).astype(bits.dtype) << bits.dtype.type(number)
        excluded = self._read(IGNORE, "") if IGNORE in self.files else None
        return Annotation(bits, len(self.declared.classes), excluded)

    def _read(self, name: str, values: str) -> np.ndarray:
        mask = read_mask(self.files[name], values)
        if mask.shape != self.shape:
            raise DataError(f"{self.files[name]}: its size has changed since the index was built: run again")
        return mask


def read_row_annotation(row: Mapping[Any, Any]) -> Annotation:
    """Read the annotation of a row of a task's index.

    Raises:
        DataError: As `AnnotationFiles.read` and `f2vbench.data.images.read_mask`.
    """
    if row.get("mask_classes"):
        return AnnotationFiles.of_row(row).read()
    return Annotation.of_mask(read_mask(Path(row["mask_path"]), row.get("mask_values", "")))
