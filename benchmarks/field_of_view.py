"""Overlap of the detected field of view with the true one: photographs with published masks, and simulated borders.

    python -m benchmarks.field_of_view [--data FOLDER] [--eyes 24]

The simulated photographs are phantoms, whose field is known, in front of what surrounds the field in scans of slides
and in exports of cameras: film of several colours with or without a black frame, a veil of light, white paper. The
photographs are those of RITE, CHASE_DB1, HRF and LES-AV in FOLDER (`rite`, `chase_db1`, `hrf`, `les_av`), which were
not used to choose the detector's settings.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from f2vbench.data.field_of_view import field_of_view
from f2vbench.data.images import read_mask, read_rgb
from f2vbench.phantom import Cohort

SIZE = 512
SEED = 20_261
SETS = ("rite", "chase_db1", "hrf", "les_av")

Border = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]
"""(photograph, field of view, random numbers) → photograph with something around the field."""


def film(low: tuple[int, int, int], high: tuple[int, int, int], frame: bool) -> Border:
    """Film of a colour between two colours, uneven and grainy, in a black frame or up to the edge of the image."""

    def draw(rgb: np.ndarray, fov: np.ndarray, random: np.random.Generator) -> np.ndarray:
        height, width = fov.shape
        colour = random.uniform(low, high)
        slope = np.linspace(1 + random.uniform(-0.3, 0.3), 1, width)[None, :, None]
        background = colour * slope + random.normal(0, 2, (height, width, 1))
        if frame:
            sides = [round(random.uniform(0, 0.06) * height) for _ in range(4)]
            inner = np.zeros((height, width, 1), bool)
            inner[sides[0] : height - sides[1], sides[2] : width - sides[3]] = True
            background = background * inner
        # The edge between film and field is as blurred as in a scan.
        inside = cv2.GaussianBlur(fov.astype(np.float32), (0, 0), 1.5)[..., None]
        return np.clip(rgb * inside + background * (1 - inside), 0, 255).astype(np.uint8)

    return draw


def veil(rgb: np.ndarray, fov: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Stray light over the whole image, photograph included."""
    return np.clip(rgb.astype(float) + random.uniform(10, 40) + random.normal(0, 2, rgb.shape), 0, 255).astype(np.uint8)


BORDERS: dict[str, Border] = {
    "black": lambda rgb, fov, random: np.clip(rgb + random.normal(2, 2, rgb.shape), 0, 255).astype(np.uint8),
    "dark green film in a black frame": film((2, 25, 8), (22, 70, 40), True),
    "dark green film": film((2, 25, 8), (22, 70, 40), False),
    "brown film in a black frame": film((20, 12, 5), (45, 30, 20), True),
    "grey film in a black frame": film((15, 15, 15), (50, 50, 50), True),
    "veil of light": veil,
    "white paper": film((225, 225, 220), (255, 255, 255), False),
}


def simulated(eyes: int, kind: str, first: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Photographs with a border of one kind, uint8 (512, 512, 3), and their fields of view.

    Args:
        eyes: Number of photographs.
        kind: A key of `BORDERS`.
        first: Number of the first eye.
    """
    cohort = Cohort(patients=(first + eyes + 1) // 2, seed=SEED)
    for number in range(first, first + eyes):
        photograph = cohort[number].photograph("macula" if number % 3 else "disc", SIZE)
        random = np.random.default_rng([SEED, number, list(BORDERS).index(kind)])
        fov = photograph.truth.field_of_view
        yield BORDERS[kind](photograph.image * fov[..., None], fov, random), fov


def published(data: Path, name: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Photographs of a data set with their published fields of view."""
    folder = data / name
    images = folder / "AV_groundTruth" / "training" / "images" if name == "rite" else folder / "images"
    for path in sorted(folder.glob("*.jpg") if name == "chase_db1" else images.iterdir()):
        mask = {
            "rite": folder / "drive_fov" / "training" / f"{path.stem}_mask.gif",
            "chase_db1": folder / "fov" / f"{path.stem}.png",
        }.get(name, folder / "mask" / f"{path.stem}_mask.png")
        yield read_rgb(path), read_mask(mask)


def dice(first: np.ndarray, second: np.ndarray) -> float:
    """Dice coefficient of two masks."""
    return float(2 * (first & second).sum() / (first.sum() + second.sum()))


def report(name: str, pairs: Iterator[tuple[np.ndarray, np.ndarray]]) -> None:
    """Print one row of the table."""
    scores, seconds = [], []
    for rgb, fov in pairs:
        start = time.process_time()
        found = field_of_view(rgb)
        seconds.append(time.process_time() - start)
        scores.append(dice(found, fov))
    array = np.array(scores)
    print(
        f"| {name} | {len(array)} | {np.median(array):.4f} | {array.min():.4f} | {(array < 0.98).sum()} "
        f"| {1000 * np.median(seconds):.0f} ms |",
        flush=True,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with rite, chase_db1, hrf and les_av")
    parser.add_argument("--eyes", type=int, default=24, help="simulated photographs of each kind")
    parser.add_argument("--first", type=int, default=0, help="number of the first simulated eye")
    arguments = parser.parse_args()
    print("| photographs | number | median Dice | lowest | below 0.98 | CPU time |\n|---|---|---|---|---|---|")
    for kind in BORDERS:
        report(f"simulated, {kind}", simulated(arguments.eyes, kind, arguments.first))
    for name in SETS if arguments.data else ():
        report(name, published(arguments.data, name))


if __name__ == "__main__":
    main()
