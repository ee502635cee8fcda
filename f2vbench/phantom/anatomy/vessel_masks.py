"""The vessels of an eye as a camera's pixels see them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from f2vbench.phantom.anatomy.camera import Camera
from f2vbench.phantom.anatomy.tube_rasterizer import Tubes, draw_tubes
from f2vbench.phantom.anatomy.vessels import ARTERY, VEIN, Vessels


@dataclass(frozen=True)
class VesselPixels:
    """One kind of vessel on a camera's pixels.

    Attributes:
        tubes: the touched pixels; offsets and radii in px.
        start, end: (m,) for each touched pixel the nodes of its piece of vessel, the one nearer the disc first.
    """

    tubes: Tubes
    start: np.ndarray
    end: np.ndarray

    def at(self, values: np.ndarray) -> np.ndarray:
        """A quantity of the nodes, (n,), at each touched pixel, (m,)."""
        return np.asarray(values[self.start] + self.tubes.along * (values[self.end] - values[self.start]))


RenderedVessels = tuple[VesselPixels, VesselPixels]  # arteries and veins


def render_vessels(vessels: Vessels, camera: Camera, only: np.ndarray | None = None) -> RenderedVessels:
    """Arteries and veins as seen by a camera.

    Args:
        only: (n,) bool, nodes whose piece of vessel (towards the disc) is drawn; all of them by default.
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
        # A vessel that goes on changes its width gently; a branch is as thin where it leaves its stem as further on.
        before = np.where(continues[a] == b, radius[a], radius[b])
        tubes = draw_tubes(points[a], points[b], np.stack([before, radius[b]], axis=1), camera.size)
        pixels_by_kind.append(VesselPixels(tubes, a[tubes.segment], b[tubes.segment]))
    return pixels_by_kind[0], pixels_by_kind[1]
