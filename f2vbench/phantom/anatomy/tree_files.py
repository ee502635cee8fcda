"""The vessels of an eye as a file: the vector truth behind the masks."""

from __future__ import annotations

import io

import numpy as np

from f2vbench.phantom.anatomy.camera import Camera
from f2vbench.phantom.anatomy.vessels import VEIN, Vessels


def encode_tree(vessels: Vessels, camera: Camera) -> bytes:
    """A NumPy archive (``numpy.load``); the same vessels give the same bytes.

    Holds for each of n nodes ``points_mm`` (n, 2) on the retina (right eye, fovea at the origin, nasal and down
    positive), ``points_px`` (n, 2) column and row in the photograph, ``parent`` (n,), the next node towards the disc
    or -1 at a root (parents come first), ``radius_mm`` (n,), ``path_mm`` (n,) along the tree from the root, and
    ``vein`` (n,), False for arteries.
    """
    file = io.BytesIO()
    np.savez_compressed(
        file,
        points_mm=vessels.points.astype(np.float32),
        points_px=camera.to_pixels(vessels.points).astype(np.float32),
        parent=vessels.parent.astype(np.int32),
        radius_mm=vessels.radius.astype(np.float32),
        path_mm=vessels.path.astype(np.float32),
        vein=vessels.kind == VEIN,
    )
    return file.getvalue()
