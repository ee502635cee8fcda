"""Photographs, masks, score maps and segmentation errors as square pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from f2vbench.data.annotation import read_row_annotation
from f2vbench.data.field_of_view import field_of_kind, kind_of_field
from f2vbench.data.images import content_hash, read_mask, read_part
from f2vbench.data.square_crop import SquareView
from f2vbench.report.figures.source import Source
from f2vbench.report.figures.style import INK, Style
from f2vbench.report.stored_data import NotStored

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDE = 480
"""Side of a picture in pixels: 40 mm at 300 dots an inch."""
ERROR_COLOURS = {"true positive": INK, "false negative": "#D55E00", "false positive": "#56B4E9"}
"""Colours of pixels in `Photograph.draw_errors`."""
ERRORS_CAPTION = "true positives (black), false negatives (orange) and false positives (blue) of the mask"
Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Photograph:
    """A photograph with its field of view and, where the task has them, the mask of one class.

    Attributes:
        rgb: (height, width, 3) uint8.
        fov: Field of view, (height, width) bool.
        mask: Mask of the class, (height, width) bool, or None.
        ignored: Pixels that do not count, (height, width) bool, or None.
    """

    rgb: Picture
    fov: NDArray[np.bool_]
    mask: NDArray[np.bool_] | None
    ignored: NDArray[np.bool_] | None = None

    @property
    def view(self) -> SquareView:
        """The square around the field of view."""
        return SquareView.around(self.fov)

    def crop(self) -> Picture:
        """The photograph, cropped to the square around the field of view, (`SIDE`, `SIDE`, 3)."""
        return self.view.crop(self.rgb, SIDE)

    def draw_mask(self, mask: NDArray[np.bool_]) -> Picture:
        """Draw a (height, width) mask black on white, (`SIDE`, `SIDE`, 3)."""
        return self._on_white(np.where(mask[..., None], _rgb(INK), 255))

    def draw_scores(self, scores: NDArray[np.floating]) -> Picture:
        """Draw a (height, width) score map, dark where scores are high, (`SIDE`, `SIDE`, 3).

        The contrast goes from the 1st to the 99th percentile in the field of view.
        """
        low, high = np.percentile(scores[self.fov], (1, 99))
        level = np.clip((scores - low) / ((high - low) or 1), 0, 1)
        return self._on_white(np.repeat((255 * (1 - level))[..., None], 3, axis=2))

    def draw_errors(self, scores: NDArray[np.floating], threshold: float | None) -> Picture:
        """Draw true positives, false negatives and false positives in the colours of `ERROR_COLOURS`.

        Args:
            scores: (height, width) score map.
            threshold: Threshold from which a pixel is of the class.

        Returns:
            (`SIDE`, `SIDE`, 3) picture.

        Raises:
            NotStored: There is no mask or no threshold.
        """
        if self.mask is None:
            raise NotStored("the photograph has no mask")
        if threshold is None:
            raise NotStored("the support images allow no threshold")
        predicted = scores >= threshold if self.ignored is None else (scores >= threshold) & ~self.ignored
        picture = np.full((*predicted.shape, 3), 255.0)
        for mask, kind in (
            (predicted & self.mask, "true positive"),
            (~predicted & self.mask, "false negative"),
            (predicted & ~self.mask, "false positive"),
        ):
            picture[mask] = _rgb(ERROR_COLOURS[kind])
        return self._on_white(picture)

    def _on_white(self, picture: NDArray[np.floating]) -> Picture:
        """Crop a picture to the square, white outside the field of view, with a thin line around the field."""
        inside = np.where(self.fov[..., None], picture, 255).astype(np.uint8)
        square = self.view.crop(inside, SIDE)
        field = self.view.crop(self.fov, SIDE).astype(np.uint8)
        # The crop is black outside the photograph; on paper it is white.
        square[field == 0] = 255
        contours, _ = cv2.findContours(field, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        return np.asarray(cv2.drawContours(square, contours, -1, (170, 170, 170), 1), np.uint8)


def load_photograph(source: Source, task: str, image: str, class_name: str = "") -> Photograph:
    """Load an image of a task from the folder that the run read it from.

    Args:
        source: RunResults that have the task.
        task: Name of the task.
        image: Id of the image.
        class_name: The class of the mask, for tasks with several; of others "".

    Returns:
        The photograph.

    Raises:
        NotStored: The image is missing or has changed since the run.
    """
    data = source.stored.task_data(task)
    index = data.index
    rows = index[index.image == image]
    if rows.empty:
        raise NotStored(f"{task} no longer has an image {image}")
    row = rows.iloc[0]
    rgb = read_part(Path(row.path), str(row.get("part", "")))
    if content_hash(rgb) != row.sha256:
        raise NotStored(f"{row.path} has changed since the run")
    fov = (
        read_mask(Path(row.fov_path), row.get("fov_values", ""))
        if row.fov_path
        else field_of_kind(rgb, kind_of_field(row))
    )
    if not row.get("mask_path") and not row.get("mask_classes"):
        return Photograph(rgb, fov, None)
    annotation = read_row_annotation(row)
    number = data.classes.index(class_name) if class_name else 0
    return Photograph(rgb, fov, annotation.mask(number), annotation.ignored)


def create_picture_grid(
    style: Style, rows: int, columns: int, *, height: float, pad: float
) -> tuple[Figure, NDArray[np.object_]]:
    """Create a figure with a grid of panels for pictures.

    Args:
        style: Style of the figure.
        rows: Number of rows.
        columns: Number of columns.
        height: Height of the figure in inches; rounded up to 0.01 inches.
        pad: Padding around panels, as a multiple of the text size.

    Returns:
        The figure and its (rows, columns) panels.
    """
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from f2vbench.report.figures.styled_figure import StyledFigure

    inches = pad * style.text / 72
    layout = ConstrainedLayoutEngine(w_pad=inches, h_pad=inches, wspace=0.01, hspace=0.01)
    figure = StyledFigure(style, figsize=(style.inches, math.ceil(height * 100) / 100), layout=layout)
    return figure, figure.subplots(rows, columns, squeeze=False)


def show_picture(axis: Axes, picture: Picture, style: Style, below: str = "", above: str = "") -> None:
    """Show a picture without axes.

    Args:
        axis: Panel to draw on.
        picture: (height, width, 3) uint8.
        style: Style of the figure.
        below: Lines of text below the picture.
        above: Text above it.
    """
    axis.imshow(picture, interpolation="antialiased")
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    if above:
        axis.set_title(above, fontweight="normal", loc="center", pad=0.35 * style.text)
    if below:
        axis.set_xlabel(below, labelpad=0.3 * style.text, linespacing=1.15)


def _rgb(colour: str) -> NDArray[np.float64]:
    """Channels of a hexadecimal colour, (3,), from 0 to 255."""
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], float)
