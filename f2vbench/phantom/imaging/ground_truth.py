"""Ground truth of an image: masks of vessels, landmarks and lesions in the view of a camera."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from f2vbench.phantom.anatomy.camera import Camera
from f2vbench.phantom.anatomy.landmarks import Outline
from f2vbench.phantom.anatomy.vessel_masks import RenderedVessels, VesselPixels, render_vessels
from f2vbench.phantom.imaging.eye import Eye
from f2vbench.phantom.lesions.base import coverage

VISIBLE = 0.025  # mm: masks omit vessels below this diameter, about one pixel of a 45° photograph 512 px wide


@dataclass(frozen=True)
class GroundTruth:
    """Masks of one view, bool (size, size) each, restricted to the field of view.

    Attributes:
        field_of_view: The field of view.
        vessels: Arteries and veins as a careful grader would draw them: of diameter `VISIBLE` and more.
        arteries: The arteries among them.
        veins: The veins among them.
        disc: Optic disc.
        cup: Excavation of the disc.
        lesions: Kind → mask, for the kinds of lesions in this eye.
    """

    field_of_view: np.ndarray
    vessels: np.ndarray
    arteries: np.ndarray
    veins: np.ndarray
    disc: np.ndarray
    cup: np.ndarray
    lesions: Mapping[str, np.ndarray]


def render_ground_truth(eye: Eye, camera: Camera, rendered: RenderedVessels | None = None) -> GroundTruth:
    """Render the masks of an eye in the view of a camera.

    Args:
        eye: The eye.
        camera: View of the masks.
        rendered: The eye's vessels in this view; computed by default.
    """
    inside = camera.field_of_view()
    wide = 2 * eye.vessels.radius >= VISIBLE
    arteries, veins = (_mask(pixels, wide) & inside for pixels in rendered or render_vessels(eye.vessels, camera))
    kinds = sorted({lesion.kind for lesion in eye.lesions})
    lesions = {
        kind: (coverage([each for each in eye.lesions if each.kind == kind], camera, by="one") >= 0.5) & inside
        for kind in kinds
    }
    return GroundTruth(
        field_of_view=inside,
        vessels=arteries | veins,
        arteries=arteries,
        veins=veins,
        disc=outline_mask(eye.anatomy.disc, camera) & inside,
        cup=outline_mask(eye.anatomy.cup, camera) & inside,
        lesions=lesions,
    )


def outline_mask(outline: Outline, camera: Camera) -> np.ndarray:
    """Interior of an outline, bool (size, size)."""
    mask = np.zeros((camera.size, camera.size), np.uint8)
    cv2.fillPoly(mask, [np.rint(camera.to_pixels(outline.points) * 16).astype(np.int32)], 1, cv2.LINE_8, 4)
    return mask > 0


def _mask(pixels: VesselPixels, drawn: np.ndarray) -> np.ndarray:
    """Pixels whose centre lies in a drawn vessel; vessels narrower than a pixel get the pixels on their centre line."""
    inside = np.abs(pixels.tubes.offset) <= np.maximum(pixels.tubes.radius, 0.6)
    return pixels.tubes.spread((inside & drawn[pixels.end]).astype(np.float32)) > 0
