"""Cases on disk: photographs with angiogram frames whose grey level identifies them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from f2vbench.data.case_table import COLUMNS
from f2vbench.training.data.angiogram_dataset import Sample
from f2vbench.training.data.augmentation import AUGMENTATIONS
from f2vbench.training.data.dataset import DatasetSplits, open_dataset
from f2vbench.training.data.options import ImageOptions

SIDE = 48


def open_plain(data: str | Path, *, size: int = 32, **options) -> DatasetSplits:
    """Open a data set without augmentation."""
    return open_dataset(data, ImageOptions(size, augmentation=AUGMENTATIONS["none"]), **options)


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def disc(radius: float = 20.0, side: int = SIDE) -> np.ndarray:
    """A field of view, bool (side, side)."""
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    return np.hypot(rows, columns) < radius


def grey_eye(level: int, side: int = SIDE) -> np.ndarray:
    """A frame of one grey level."""
    return (disc(side=side) * level).astype(np.uint8)


def colour_eye(side: int = SIDE) -> np.ndarray:
    """A photograph of one colour."""
    return (disc(side=side)[..., None] * np.array([190, 110, 50])).astype(np.uint8)


class CaseTable:
    """A table in the released format with its images; frame n of a case has the grey level 20 + 5 n."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.rows: list[dict[str, str]] = []

    def add_case(self, name: str, patient: str, counts=(4, 4, 4), absolute: bool = False) -> CaseTable:
        """Add a case with this number of arterial, venous and late frames."""
        photograph = save(self.folder / "images" / f"{name}.png", colour_eye())
        number = 0
        for phase, count in zip(("Arterial", "venous", "LATE "), counts, strict=True):
            for _ in range(count):
                frame = save(self.folder / "frames" / f"{name}_{number}.png", grey_eye(20 + 5 * number))
                files = [str(f if absolute else f.relative_to(self.folder)) for f in (photograph, frame)]
                values = [patient, name, phase, str(10.0 + number), *files]
                self.rows.append(dict(zip(COLUMNS, values, strict=True)))
                number += 1
        return self

    def write(self, encoding: str = "utf-8", columns=COLUMNS) -> Path:
        path = self.folder / "video.csv"
        with path.open("w", encoding=encoding, newline="") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(self.rows)
        return path


def six_patients(folder: Path) -> CaseTable:
    """Cases c0 to c5 of one patient each, with 4 frames of each phase."""
    table = CaseTable(folder)
    for number in range(6):
        table.add_case(f"c{number}", f"patient{number}")
    return table


def write_case_folder(folder: Path, frames: int, suffix: str = ".png") -> Path:
    """A case as a folder; frame n (from 0) has the grey level 20 + 5 n."""
    save(folder / f"photograph{suffix}", colour_eye())
    for number in range(frames):
        save(folder / "frames" / f"f{number + 1}.png", grey_eye(20 + 5 * number))
    return folder


def all_samples(opened: DatasetSplits) -> list[Sample]:
    datasets = (opened.train, opened.validation, opened.test)
    return [dataset[index] for dataset in datasets for index in range(len(dataset))]


def grey_levels(sample: Sample) -> list[int]:
    """The grey level (0 to 255) in the centre of each frame."""
    middle = sample.frames.shape[-1] // 2
    return [round(float(value + 1) * 127.5) for value in sample.frames[:, 0, middle, middle]]
