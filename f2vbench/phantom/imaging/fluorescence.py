"""Fluorescence of an eye at any time, composed of layers on the pixels of a camera.

From back to front: choroid behind the pigment epithelium; retinal capillaries; leakage, pooling and staining; large
vessels; blocking layers. Everything that is constant in time is rendered once per view.

Brightness values are not measured quantities. They are chosen such that grey levels, vessel contrast and noise of
arterial and venous frames lie within the spread of real frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from f2vbench.phantom.anatomy.camera import Camera
from f2vbench.phantom.anatomy.tube_rasterizer import Tubes
from f2vbench.phantom.anatomy.vessel_masks import VesselPixels
from f2vbench.phantom.imaging.dye import (
    FIRST_STREAM,
    Transit,
    concentration,
    extravasated,
    filled_share,
    laminar_depth,
    leakage,
    spread_of_leak,
)

_EMISSION = 18.0  # 1/mm: fluorescence 1 − exp(−18 · depth) at the peak, so large vessels saturate
_ABSORPTION = 7.0  # 1/mm, absorption of the light from behind by blood


@dataclass(frozen=True)
class Layers:
    """The layers of one view; images are float32 (size, size).

    Attributes:
        camera: View of the image.
        transit: Dye arrival times of the eye's vessels.
        arteries: Arteries, without small vessels where capillaries are lost.
        veins: Veins, without small vessels where capillaries are lost.
        supplied: (32, 32) seconds, arterial arrival in the tissue.
        choroid: Transmission of the layers in front of the choroid, times the variation of the choroid.
        lobules: Filling delay of the choroidal lobules after the first one, seconds.
        capillaries: Density of capillaries.
        points: Microaneurysms.
        strands: New vessels, if any.
        leak: Leakage strength, (size // 4, size // 4).
        pools: Fluid that takes up dye slowly.
        stains: Tissue that takes up dye slowly and keeps a sharp border.
        stained_walls: Where walls of large vessels stain: areas of lost capillaries.
        deep_block: Transmission of what lies in front of choroid and capillaries.
        block: Transmission of what lies in front of everything.
        choroid_start: Arrival of the dye at the choroid, seconds.
    """

    camera: Camera
    transit: Transit
    arteries: VesselPixels
    veins: VesselPixels
    supplied: np.ndarray
    choroid: np.ndarray
    lobules: np.ndarray
    capillaries: np.ndarray
    points: np.ndarray
    strands: Tubes | None
    leak: np.ndarray
    pools: np.ndarray
    stains: np.ndarray
    stained_walls: np.ndarray
    deep_block: np.ndarray
    block: np.ndarray
    choroid_start: float

    def emission_at(self, seconds: float) -> np.ndarray:
        """Fluorescence ``seconds`` after injection, float32 (size, size), about 1 in a large vessel at the peak."""
        size, since_choroid = self.camera.size, seconds - self.choroid_start
        since_artery = seconds - self.transit.artery_at_disc
        flush = float(concentration(np.asarray(since_choroid))) * 0.85 + 0.62 * extravasated(since_choroid, 40)
        light = np.asarray(self.choroid * np.float32(0.155 * flush))
        if since_choroid < 12:  # lobules fill one after the other
            light *= 1 / (1 + np.exp(np.clip(1.6 * (self.lobules - since_choroid), -20, 20)))
        in_tissue = concentration(seconds - self.supplied - 0.5 * self.transit.capillary).astype(np.float32)
        tissue = cv2.resize(in_tissue, (size, size), interpolation=cv2.INTER_LINEAR)
        light += 0.095 * self.capillaries * tissue
        late = extravasated(since_artery - 15, 240)
        light += self.stains * (0.55 * late)
        light *= self.deep_block
        light += self.pools * (0.42 * late)
        light += self.points * tissue * 0.8
        if self.strands is not None:
            dyed = self.strands.depth() / self.camera.pixels_per_mm * tissue.ravel()[self.strands.pixel]
            light.ravel()[self.strands.pixel] += 1 - np.exp(-7 * _EMISSION * dyed)
        if self.leak.any():
            reach = max(spread_of_leak(since_artery) * self.camera.pixels_per_mm / 4, 0.1)
            near, far = (cv2.GaussianBlur(self.leak, (0, 0), width * reach) for width in (0.35, 1.0))
            bright = leakage(0.35 * near + 0.65 * far, since_artery).astype(np.float32)
            light = 1 - (1 - np.minimum(light, 1)) * (1 - cv2.resize(bright, (size, size)))
        self._add_vessels(light, seconds, late)
        return np.asarray(light * self.block, np.float32)

    def _add_vessels(self, light: np.ndarray, seconds: float, late: float) -> None:
        """Add large vessels to an image in place: they absorb the light from behind and emit their own."""
        flat, scale = light.ravel(), self.camera.pixels_per_mm
        for pixels, vein in ((self.veins, True), (self.arteries, False)):
            arrival, spread = pixels.at(self.transit.arrival), pixels.at(self.transit.spread)
            depth = pixels.tubes.depth() / scale
            if vein:
                share = filled_share(seconds, arrival, spread)
                dyed = laminar_depth(pixels.tubes, share) / scale
                strength = concentration(seconds - arrival + FIRST_STREAM * spread)
            else:
                dyed, strength = depth, concentration(seconds - arrival)
            pixel = pixels.tubes.pixel
            behind = flat[pixel] * np.exp(-_ABSORPTION * depth)
            wall = late * self.stained_walls.ravel()[pixel] * pixels.tubes.coverage()
            flat[pixel] = behind + 1 - np.exp(-_EMISSION * dyed * strength) + 0.22 * wall
