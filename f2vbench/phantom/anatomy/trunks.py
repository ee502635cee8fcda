"""First-order vessels of each eye, and the tissue points towards which the other vessels grow."""

from __future__ import annotations

import math

import numpy as np
from scipy.interpolate import CubicSpline

from f2vbench.phantom.anatomy.growth import STEP, VEIN
from f2vbench.phantom.anatomy.landmarks import Anatomy

REACH = 10.5  # mm from the midpoint between disc and fovea: the field of a 60° camera
_MIDDLE = (2.4, 0.0)


def draw_trunks(anatomy: Anatomy, kind: int, draw: np.random.Generator) -> list[np.ndarray]:
    """Draw the first-order vessels of one kind, centre lines from the disc outwards, (m, 2) mm each."""
    disc = np.asarray(anatomy.disc.centre)
    rim = anatomy.values["disc_height"] / 2
    hilum = disc + [0.12 * anatomy.disc.width + draw.normal(scale=0.04), draw.normal(scale=0.08)]
    trunks = []
    for up in (-1.0, 1.0):  # superior, inferior
        height = anatomy.values["arcade_height"] * draw.normal(1.0, 0.07)
        apart = draw.uniform(0.12, 0.34) * (1 if kind == VEIN else -1) * (1 if draw.random() < 0.75 else -1)
        power, fall = draw.uniform(0.42, 0.62), draw.uniform(-0.035, 0.075)
        reach = np.array([0.9, 2.1, 3.4, 5.0, 7.0, 9.5, 13.0])
        rise = height * np.minimum(reach / 5.0, 1) ** power * (1 - fall * np.maximum(reach - 4.5, 0))
        rise = rise + apart * np.array([0.5, 1, 1.2, 1.3, 1.5, 1.7, 2.0]) + draw.normal(scale=0.10, size=7)
        base = disc[1] * np.linspace(0.9, 0.0, 7)
        control = np.stack([disc[0] - reach, base + up * rise], axis=1)
        control = np.concatenate([[hilum, disc + [-0.12 * rim, up * 1.0 * rim]], control])
        trunks.append(_curve(control, draw))
        # A nasal trunk, and in most eyes a second one that leaves the disc upwards or downwards.
        angle = math.radians(draw.uniform(28, 62) + (9 if kind == VEIN else -4))
        trunks.append(_ray(hilum, disc, rim, angle, up, 8.0, -0.10, draw))
        if draw.random() < 0.95:
            angle = math.radians(draw.uniform(84, 112) + (7 if kind == VEIN else -3))
            trunks.append(_ray(hilum, disc, rim, angle, up, 8.5, 0.10, draw))
        if draw.random() < 0.95:  # a small trunk towards the macula
            angle = math.radians(draw.uniform(148, 166) + (5 if kind == VEIN else -5))
            trunks.append(_ray(hilum, disc, rim, angle, up, draw.uniform(1.6, 2.6), 0.05, draw))
    if draw.random() < 0.8:
        trunks.append(_ray(hilum, disc, rim, math.radians(draw.uniform(-14, 14)), 1.0, 6.0, 0.0, draw))
    return trunks


def _ray(
    hilum: np.ndarray,
    disc: np.ndarray,
    rim: float,
    angle: float,
    up: float,
    reach: float,
    bend: float,
    draw: np.random.Generator,
) -> np.ndarray:
    """A trunk that leaves the disc at an angle from the nasal side and bends by ``bend`` radians per mm."""
    start = hilum + [draw.normal(scale=0.05), up * rim * draw.uniform(0.0, 0.5)]  # from the upper or lower division
    steps = np.linspace(0, 1, 6)[1:]
    turn = angle + bend * reach * steps * draw.uniform(0.3, 1.1) + np.cumsum(draw.normal(scale=0.035, size=5))
    control = [start, disc + 1.1 * rim * np.array([math.cos(angle), up * math.sin(angle)])]
    for direction in turn:
        control.append(control[-1] + reach / 5 * np.array([math.cos(direction), up * math.sin(direction)]))
    return _curve(np.array(control), draw)


def _curve(control: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """A smooth curve through control points, resampled at `STEP` and cut at `REACH`."""
    gaps = np.hypot(*np.diff(control, axis=0).T)
    at = np.concatenate([[0], np.cumsum(np.sqrt(gaps))])  # centripetal: no loops
    fine = CubicSpline(at, control)(np.linspace(0, at[-1], 400))
    length = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(fine, axis=0).T))])
    even = np.arange(0, length[-1], STEP)
    line = np.stack([np.interp(even, length, fine[:, axis]) for axis in (0, 1)], axis=1)
    outside = np.flatnonzero(np.hypot(line[:, 0] - _MIDDLE[0], line[:, 1] - _MIDDLE[1]) > REACH)
    return line[: outside[0]] if len(outside) else line


def tissue_points(anatomy: Anatomy, spacing: float, draw: np.random.Generator) -> np.ndarray:
    """Draw points that need blood supply: a jittered hexagonal grid outside disc and avascular zone, (k, 2) mm."""
    rows = np.arange(-REACH, REACH, spacing * 0.87)
    columns = np.arange(-REACH, REACH, spacing)
    x, y = np.meshgrid(columns, rows)
    x = x + 0.5 * spacing * (np.arange(len(rows)) % 2)[:, None]
    points = np.stack([x.ravel(), y.ravel()], axis=1) + draw.normal(scale=0.27 * spacing, size=(x.size, 2))
    points = points[np.hypot(*points.T) < REACH] + _MIDDLE
    fovea = np.hypot(*points.T)
    free = 0.5 * anatomy.values["avascular_zone"] + draw.uniform(0.10, 0.5, len(points))
    disc = anatomy.disc.relative(points[:, 0], points[:, 1])
    return np.asarray(points[(fovea > free) & (disc > 1.25)])
