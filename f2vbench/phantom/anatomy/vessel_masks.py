"""Vessels of an eye on the pixels of a camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from f2vbench.phantom.anatomy.camera import Camera
from f2vbench.phantom.anatomy.tube_rasterizer import Tubes, draw_tubes
from f2vbench.phantom.anatomy.vessels import ARTERY, VEIN, Vessels


@dataclass(frozen=True)
class VesselPixels:
    """Arteries or veins on the pixels of a camera.

    Attributes:
        tubes: The m pixels that the vessels cover; offsets and radii in px.
        start: (m,) node of each pixel's vessel segment that is nearer to the disc.
        end: (m,) the other node of the segment.
    """

    tubes: Tubes
    start: np.ndarray
    end: np.ndarray

    def at(self, values: np.ndarray) -> np.ndarray:
        """Interpolate a quantity of the nodes, (n,), at each pixel, (m,)."""
        return np.asarray(values[self.start] + self.tubes.along * (values[self.end] - values[self.start]))


RenderedVessels = tuple[VesselPixels, VesselPixels]  # arteries and veins


def render_vessels(vessels: Vessels, camera: Camera, only: np.ndarray | None = None) -> RenderedVessels:
    """Rasterise arteries and veins in the view of a camera.

    Args:
        vessels: Vessel trees with n nodes.
        camera: View of the image.
        only: (n,) bool, nodes whose segment (towards the disc) is drawn; all by default.

    Returns:
        Arteries, veins.
    """
    points = camera.to_pixels(vessels.points).astype(np.float32)
    radius = (vessels.radius * camera.pixels_per_mm).astype(np.float32)
    continues = vessels.main_child()
    start, end = vessels.segments()
    if only is not None:
        start, end = start[only[end]], end[only[end]]
    pixels_by_kind = []
    for kind in (ARTERY, VEIN):
        a, b = start[vessels.kind[end] == kind], end[vessels.kind[end] == kind]
        # The width changes gradually along a vessel; a branch starts with its own width, not with that of its stem.
        before = np.where(continues[a] == b, radius[a], radius[b])
        tubes = draw_tubes(points[a], points[b], np.stack([before, radius[b]], axis=1), camera.size)
        pixels_by_kind.append(VesselPixels(tubes, a[tubes.segment], b[tubes.segment]))
    return pixels_by_kind[0], pixels_by_kind[1]
