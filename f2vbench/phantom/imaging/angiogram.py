"""Fluorescein angiograms: twelve frames from the first arterial filling to the late phase."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from f2vbench.phantom.anatomy.camera import Camera
from f2vbench.phantom.imaging.angiograph_camera import draw_angiograph_camera, typical_angiograph_camera
from f2vbench.phantom.imaging.dye import Transit
from f2vbench.phantom.imaging.eye import Eye
from f2vbench.phantom.imaging.layers import render_layers

PHASES = ("arterial", "venous", "late")
FRAMES_PER_PHASE = 4
_LATE = (300.0, 900.0)  # s
_VENOUS_END = 75.0  # s
_SCANS = 4  # scans averaged in each frame after the arterial phase


@dataclass(frozen=True)
class Angiogram:
    """One examination, frames in order of time.

    Frames are registered to the camera. The residual motion is below 2 px of a 512 px image everywhere in the field,
    in every frame including the first one; a noise-free angiogram has none.

    Attributes:
        frames: uint8 (12, size, size), 0 outside the field of view.
        seconds: float (12,), seconds since injection.
        phases: 12 names of `PHASES`.
    """

    frames: np.ndarray
    seconds: np.ndarray
    phases: tuple[str, ...]


def acquire_angiogram(eye: Eye, camera: Camera, draw: np.random.Generator, *, noise: bool = True) -> Angiogram:
    """Simulate a fluorescein angiogram of an eye.

    Args:
        eye: The eye; it determines everything that two examinations have in common.
        camera: View of the frames.
        draw: Random generator of the camera settings, acquisition times, motion and noise.
        noise: False for the frames that one expects of this eye at the same acquisition times: no residual motion, no
            read or shot noise, no gain drift, and the camera settings of `typical_angiograph_camera`.
    """
    layers = render_layers(eye, camera)
    angiograph = draw_angiograph_camera(eye.haze, draw)
    seconds = draw_acquisition_times(layers.transit, draw)
    if not noise:
        angiograph = typical_angiograph_camera(eye.haze)
    illumination = angiograph.illumination(camera)
    frames = np.empty((len(seconds), camera.size, camera.size), np.uint8)
    phases = tuple(phase for phase in PHASES for _ in range(FRAMES_PER_PHASE))
    for frame, moment, phase in zip(frames, seconds.tolist(), phases, strict=True):
        fluorescence = layers.emission_at(moment)
        if not noise:
            frame[:] = angiograph.expose(fluorescence, illumination, 1.0, 1, None)
            continue
        moved = _move(fluorescence, draw)
        drift = float(np.exp(np.clip(draw.normal(0, 0.10), -0.25, 0.25)))
        scans = 1 if phase == "arterial" else _SCANS
        frame[:] = angiograph.expose(moved, illumination, drift, scans, draw)
    return Angiogram(frames, seconds, phases)


def draw_acquisition_times(transit: Transit, draw: np.random.Generator) -> np.ndarray:
    """Draw the times at which frames are acquired, one in each quarter of each phase.

    The arterial phase lasts from the filling of the first branches to the laminar flow of the main veins, the venous
    phase from there to 75 s, the late phase from 5 to 15 min. Times are uniform on a logarithmic scale in the venous
    and the late phase.

    Args:
        transit: Dye arrival times of the eye.
        draw: Random generator.

    Returns:
        float (12,), seconds after injection.
    """
    first = transit.artery_at_disc + 0.45
    last = max(transit.first_lamina + 0.3, first + 1.0)
    position = (np.arange(FRAMES_PER_PHASE) + draw.uniform(0.1, 0.9, (3, FRAMES_PER_PHASE))) / FRAMES_PER_PHASE
    arterial = first + position[0] * (last - first)
    begin = last + 0.2
    since = np.exp(position[1] * math.log(_VENOUS_END - begin + 1.0)) - 1.0
    late = np.exp(math.log(_LATE[0]) + position[2] * math.log(_LATE[1] / _LATE[0]))
    return np.concatenate([arterial, begin + since, late])


def _move(image: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Apply the residual motion after registration: about half a pixel of 512 and a twentieth of a degree."""
    size = image.shape[0]
    turn = math.radians(float(np.clip(draw.normal(0, 0.05), -0.12, 0.12)))
    shift = np.clip(draw.normal(0, 0.45, 2), -0.9, 0.9) * size / 512
    middle = (size - 1) / 2
    cosine, sine = math.cos(turn), math.sin(turn)
    matrix = np.array(
        [
            [cosine, -sine, middle - cosine * middle + sine * middle + shift[0]],
            [sine, cosine, middle - sine * middle - cosine * middle + shift[1]],
        ]
    )
    return np.asarray(
        cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    )
