"""Distances between the outlines of two masks: Hausdorff distance and normalised surface distance.

The outline of a mask is the set of its pixels of which a neighbour (4-connected) is outside the mask or outside the
picture, as in MONAI, with which the distances agree. Distances are computed between points, so that the cost depends on
the length of the outlines and not on the size of the picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_erosion
from scipy.spatial import KDTree

BOUNDARY_METRICS = ("hd95", "nsd")
TOLERANCE = 0.005
"""Tolerance of the normalised surface distance, relative to the width of the field of view: 2.5 px of 512."""


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances between two outlines, in pixels.

    Attributes:
        to_reference: (n,) distance of each predicted outline pixel to the nearest one of the reference.
        to_predicted: (m,) the reverse.
    """

    to_reference: np.ndarray
    to_predicted: np.ndarray

    def hausdorff(self, percentile: float = 95) -> float:
        """The larger of the two directed distances at a percentile (Huttenlocher et al., PAMI 1993).

        Args:
            percentile: 95 is usual, because 100 (the Hausdorff distance) depends on a single pixel.

        Returns:
            Pixels; 0 for equal outlines.

        Example:
            >>> SurfaceDistances(np.array([0.0, 1.0]), np.array([0.0, 3.0])).hausdorff(100)
            3.0
        """
        both = (self.to_reference, self.to_predicted)
        return max(float(np.percentile(distances, percentile)) for distances in both)

    def normalised_surface_distance(self, tolerance: float) -> float:
        """Share of both outlines that is within a tolerance of the other (Nikolov et al., JMIR 2021).

        Args:
            tolerance: Pixels.

        Returns:
            In [0, 1]; higher is better.

        Example:
            >>> SurfaceDistances(np.array([0.0, 1.0]), np.array([0.0, 3.0])).normalised_surface_distance(1)
            0.75
        """
        both = (self.to_reference, self.to_predicted)
        within = sum(int(np.count_nonzero(distances <= tolerance)) for distances in both)
        return within / sum(len(distances) for distances in both)


def surface_distances(predicted: np.ndarray, reference: np.ndarray) -> SurfaceDistances | None:
    """Distances between the outlines of two masks.

    Args:
        predicted: bool (height, width).
        reference: bool (height, width).

    Returns:
        The distances; None where a mask is empty.

    Example:
        >>> one, other = np.zeros((9, 9), bool), np.zeros((9, 9), bool)
        >>> one[2:5, 2:5], other[2:5, 4:7] = True, True
        >>> surface_distances(one, other).hausdorff(100)
        2.0
    """
    outlines = [np.argwhere(outline(mask)) for mask in (predicted, reference)]
    if not all(len(points) for points in outlines):
        return None
    of_predicted, of_reference = (KDTree(points) for points in outlines)
    return SurfaceDistances(of_reference.query(outlines[0])[0], of_predicted.query(outlines[1])[0])


def outline(mask: np.ndarray) -> np.ndarray:
    """The pixels of a mask of which a neighbour is not in it, bool (height, width).

    Args:
        mask: bool (height, width).

    Example:
        >>> outline(np.ones((3, 3), bool)).astype(int).tolist()
        [[1, 1, 1], [1, 0, 1], [1, 1, 1]]
    """
    inner: np.ndarray = mask & ~binary_erosion(mask)
    return inner


def boundary_metrics(predicted: np.ndarray, reference: np.ndarray, width: float) -> dict[str, float | None]:
    """HD95 and normalised surface distance of one class of a photograph.

    Both are relative to the width of the field of view, so that they do not depend on the resolution of the photograph.

    Args:
        predicted: bool (height, width).
        reference: bool (height, width).
        width: Width of the field of view in pixels.

    Returns:
        - ``hd95``: percent of the width; 100 where nothing is predicted, which MONAI leaves out of its means.
        - ``nsd``: in [0, 1], with `TOLERANCE`; 0 where nothing is predicted.

        Both are None where the reference is empty.

    Example:
        >>> disc = np.zeros((100, 100), bool)
        >>> disc[40:60, 40:60] = True
        >>> boundary_metrics(np.roll(disc, 2, axis=1), disc, width=100)["hd95"]
        2.0
        >>> boundary_metrics(np.zeros_like(disc), disc, width=100)
        {'hd95': 100.0, 'nsd': 0.0}
    """
    if not reference.any():
        return dict.fromkeys(BOUNDARY_METRICS)
    distances = surface_distances(predicted, reference)
    if distances is None:
        return {"hd95": 100.0, "nsd": 0.0}
    hd95 = 100 * distances.hausdorff() / width
    return {"hd95": hd95, "nsd": distances.normalised_surface_distance(TOLERANCE * width)}
