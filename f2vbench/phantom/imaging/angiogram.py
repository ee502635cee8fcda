"""Fluorescein angiograms: twelve frames from the first arterial filling to the late phase."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from f2vbench.phantom.anatomy.camera import Camera
from f2vbench.phantom.imaging.angiograph_camera import draw_angiograph_camera
from f2vbench.phantom.imaging.dye import Transit
from f2vbench.phantom.imaging.eye import Eye
from f2vbench.phantom.imaging.layers import render_layers

PHASES = ("arterial", "venous", "late")
FRAMES_PER_PHASE = 4
_LATE = (300.0, 900.0)  # s
_VENOUS_END = 75.0  # s
_SCANS = 4  # averaged in a frame once the dye has come


@dataclass(frozen=True)
class Angiogram:
    """One examination, frames sorted in time.

    Frames lie on the camera's pixels, as after registration: what is left of the eye's movement is below 2 px of
    an image of 512 px anywhere in the field, with the first frame as good as any other.

    Attributes:
        frames: uint8 (12, size, size), 0 outside the field of view.
        seconds: float (12,), since injection.
        phases: 12 names of `PHASES`.
    """

    frames: np.ndarray
    seconds: np.ndarray
    phases: tuple[str, ...]


def acquire_angiogram(eye: Eye, camera: Camera, draw: np.random.Generator) -> Angiogram:
    """Photograph the passage of fluorescein through an eye.

    Args:
        draw: for the camera's settings, the moments, movements and noise; what belongs to the eye is in the eye.
    """
    layers = render_layers(eye, camera)
    angiograph = draw_angiograph_camera(eye.haze, draw)
    seconds = draw_acquisition_times(layers.transit, draw)
    light = angiograph.light(camera)
    frames = np.empty((len(seconds), camera.size, camera.size), np.uint8)
    phases = tuple(phase for phase in PHASES for _ in range(FRAMES_PER_PHASE))
    for frame, moment, phase in zip(frames, seconds.tolist(), phases, strict=True):
        moved = _move(layers.emission_at(moment), draw)
        drift = float(np.exp(np.clip(draw.normal(0, 0.10), -0.25, 0.25)))
        frame[:] = angiograph.expose(moved, light, drift, 1 if phase == "arterial" else _SCANS, draw)
    return Angiogram(frames, seconds, phases)


def draw_acquisition_times(transit: Transit, draw: np.random.Generator) -> np.ndarray:
    """The (12,) seconds after injection at which frames are taken, one in each quarter of each phase.

    The arterial phase lasts from the filling of the first branches to the first lamina of the main veins, the
    venous phase on to 75 s, the late phase from 5 to 15 min; the moments of the longer ones are even in log time.
    """
    first = transit.artery_at_disc + 0.45
    last = max(transit.first_lamina + 0.3, first + 1.0)
    place = (np.arange(FRAMES_PER_PHASE) + draw.uniform(0.1, 0.9, (3, FRAMES_PER_PHASE))) / FRAMES_PER_PHASE
    arterial = first + place[0] * (last - first)
    begin = last + 0.2
    since = np.exp(place[1] * math.log(_VENOUS_END - begin + 1.0)) - 1.0
    late = np.exp(math.log(_LATE[0]) + place[2] * math.log(_LATE[1] / _LATE[0]))
    return np.concatenate([arterial, begin + since, late])


def _move(image: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """What registration leaves of the eye's movement: about half a pixel of 512 and a twentieth of a degree."""
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
