"""Photographs, truth, score maps and errors as pictures, and which images are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from f2vbench.data.field_of_view import field_of_view
from f2vbench.data.images import content_hash, read_mask, read_part
from f2vbench.data.square_crop import SquareView
from f2vbench.report.figures.source import Source
from f2vbench.report.figures.style import FALSE, INK, MISSED, Style
from f2vbench.report.stored_data import NotStored

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIDE = 480
"""Pixels of a picture: 40 mm at 300 dots an inch."""
ERRORS = {"found": INK, "missed": MISSED, "wrongly found": FALSE}
ERRORS_TEXT = "vessels found (black), missed (orange) and wrongly found (blue)"
Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Eye:
    """A photograph with its field of view and, where the task has them, vessels.

    Attributes:
        rgb: (height, width, 3) uint8.
        fov: (height, width) bool.
        vessels: (height, width) bool, or None.
    """

    rgb: Picture
    fov: NDArray[np.bool_]
    vessels: NDArray[np.bool_] | None

    @property
    def view(self) -> SquareView:
        return SquareView.around(self.fov)

    def photograph(self) -> Picture:
        """(SIDE, SIDE, 3), the square around the field of view."""
        return self.view.crop(self.rgb, SIDE)

    def drawing(self, mask: NDArray[np.bool_]) -> Picture:
        """(SIDE, SIDE, 3): a mask black on white."""
        return self._on_white(np.where(mask[..., None], _rgb(INK), 255))

    def scores(self, scores: NDArray[np.floating]) -> Picture:
        """(SIDE, SIDE, 3): a score map, dark where high, between its 1st and 99th percentile in the field of view."""
        low, high = np.percentile(scores[self.fov], (1, 99))
        level = np.clip((scores - low) / ((high - low) or 1), 0, 1)
        return self._on_white(np.repeat((255 * (1 - level))[..., None], 3, axis=2))

    def errors(self, scores: NDArray[np.floating], threshold: float | None) -> Picture:
        """(SIDE, SIDE, 3): vessels found, missed and wrongly found, in the colours of `ERRORS`."""
        if self.vessels is None:
            raise NotStored("there is no truth to compare with")
        if threshold is None:
            raise NotStored("the support images allow no threshold")
        found = scores >= threshold
        picture = np.full((*found.shape, 3), 255.0)
        for mask, colour in (
            (found & self.vessels, ERRORS["found"]),
            (~found & self.vessels, ERRORS["missed"]),
            (found & ~self.vessels, ERRORS["wrongly found"]),
        ):
            picture[mask] = _rgb(colour)
        return self._on_white(picture)

    def _on_white(self, picture: NDArray[np.floating]) -> Picture:
        """The square of a picture, white outside the field of view, with a thin line around the field."""
        inside = np.where(self.fov[..., None], picture, 255).astype(np.uint8)
        square = self.view.crop(inside, SIDE)
        field = self.view.crop(self.fov, SIDE).astype(np.uint8)
        # What lies outside the photograph reads as black in a view; on paper it is white.
        square[field == 0] = 255
        contours, _ = cv2.findContours(field, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        return np.asarray(cv2.drawContours(square, contours, -1, (170, 170, 170), 1), np.uint8)


def open_eye(source: Source, task: str, image: str) -> Eye:
    """An image of a task, from where the run had it.

    Raises:
        NotStored: the file has gone or changed.
    """
    index = source.task_data(task).index
    row = index[index.image == image]
    if row.empty:
        raise NotStored(f"{task} has no image {image} any more")
    first = row.iloc[0]
    rgb = read_part(Path(first.path), str(first.get("part", "")))
    if content_hash(rgb) != first.sha256:
        raise NotStored(f"{first.path} has changed since the run")
    fov = read_mask(Path(first.fov_path)) if first.fov_path else field_of_view(rgb)
    mask = str(first.get("mask_path", ""))
    return Eye(rgb, fov, read_mask(Path(mask)) if mask else None)


def best_median_worst(values: Mapping[str, float]) -> dict[str, str]:
    """``best``, ``median`` and ``worst`` → image; of even numbers the lower median, of equal values the first by id.

    With fewer than three images those there are.
    """
    order = sorted(values, key=lambda image: (-values[image], image))
    places = {"best": 0, "median": len(order) // 2, "worst": len(order) - 1}
    chosen: dict[str, str] = {}
    for name, place in places.items():
        if order and order[place] not in chosen.values():
            chosen[name] = order[place]
    return chosen


def show(axis: Axes, picture: Picture, style: Style, below: str = "", above: str = "") -> None:
    """A picture without axes; a line of text above it and lines below."""
    axis.imshow(picture, interpolation="antialiased")
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    if above:
        axis.set_title(above, fontweight="normal", loc="center", pad=0.35 * style.text)
    if below:
        axis.set_xlabel(below, labelpad=0.3 * style.text, linespacing=1.15)


def best_encoder(source: Source, task: str, metric: str, among: Sequence[str]) -> str:
    """The trained model with the best mean over seeds; where there is none the best untrained one, else baseline."""
    rows = source.frame[(source.frame.task == task) & (source.frame.metric == metric)]
    means = rows[rows.encoder.isin(among)].groupby("encoder").value.mean()

    def order(name: str) -> tuple[bool, bool, float, str]:
        look = source.looks[name]
        return look.baseline, look.untrained, -float(means.get(name, -np.inf)), name

    return min(among, key=order)


def _rgb(colour: str) -> NDArray[np.float64]:
    return np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)], float)
