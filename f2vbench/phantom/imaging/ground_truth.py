"""What is true of every pixel: masks of vessels, landmarks and lesions, in a camera's view."""

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

VISIBLE = 0.025  # mm: narrower vessels are not in the masks; about one pixel of a 45° photograph 512 px wide


@dataclass(frozen=True)
class GroundTruth:
    """Masks of one view, bool (size, size) each, cut to the field of view.

    Attributes:
        vessels: arteries or veins, as a careful grader would draw them: `VISIBLE` and wider.
        lesions: kind → mask, for the kinds that this eye has.
    """

    field_of_view: np.ndarray
    vessels: np.ndarray
    arteries: np.ndarray
    veins: np.ndarray
    disc: np.ndarray
    cup: np.ndarray
    lesions: Mapping[str, np.ndarray]


def render_ground_truth(eye: Eye, camera: Camera, rendered: RenderedVessels | None = None) -> GroundTruth:
    """The masks of an eye in a camera's view.

    Args:
        seen: the eye's vessels in this camera, where the caller has them already.
    """
    inside = camera.field_of_view()
    wide = 2 * eye.vessels.radius >= VISIBLE
    arteries, veins = (_mask(lumen, wide) & inside for lumen in rendered or render_vessels(eye.vessels, camera))
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
    """Inside of an outline, bool (size, size)."""
    mask = np.zeros((camera.size, camera.size), np.uint8)
    cv2.fillPoly(mask, [np.rint(camera.to_pixels(outline.points) * 16).astype(np.int32)], 1, cv2.LINE_8, 4)
    return mask > 0


def _mask(lumen: VesselPixels, drawn: np.ndarray) -> np.ndarray:
    """Pixels whose centre lies in a drawn vessel; a vessel narrower than a pixel gets the pixels on its line."""
    on_it = np.abs(lumen.tubes.offset) <= np.maximum(lumen.tubes.radius, 0.6)
    return lumen.tubes.spread((on_it & drawn[lumen.end]).astype(np.float32)) > 0
