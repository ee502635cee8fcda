"""Irregular outlines of lesions in millimetres: blobs, flames, boats, ragged areas, nerve fibre bundles; vectorised."""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial import cKDTree

# Nerve fibre bundles arch around the fovea: they follow lines on which the angle around the disc, after a shift by
# BEND · distance², is constant; the same lines as the striation of `surface.FundusSurface.fibre_map`.
BEND = 0.085  # 1/mm


def blob_outlines(
    centres: np.ndarray,
    diameters: np.ndarray,
    draw: np.random.Generator,
    roughness: float = 0.15,
    elongation: float | np.ndarray = 1.0,
    turn: float | np.ndarray = 0.0,
    corners: int = 20,
) -> np.ndarray:
    """Draw rounded irregular outlines, (n, corners, 2) mm.

    Args:
        centres: (n, 2) mm, mean of each outline's corners.
        diameters: (n,) mm, diameter of the circle with the outline's area.
        draw: Random generator.
        roughness: Approximate relative standard deviation of the radius along an outline.
        elongation: Length divided by width, scalar or (n,).
        turn: Direction of the length, radians from x to y, scalar or (n,).
        corners: Number of corners.
    """
    count = len(centres)
    angle = np.linspace(0, 2 * math.pi, corners, endpoint=False)
    order = np.arange(2, corners // 4 + 2)
    size = roughness * 1.5 * draw.standard_normal((count, len(order))) / order**1.05
    phase = draw.uniform(0, 2 * math.pi, (count, len(order)))
    waves = np.cos(order[None, None, :] * angle[None, :, None] + phase[:, None, :])
    radii = np.exp(np.einsum("no,nao->na", size, waves))
    stretch = np.sqrt(np.broadcast_to(np.asarray(elongation, float), count))[:, None]
    x, y = radii * np.cos(angle) * stretch, radii * np.sin(angle) / stretch
    return _place(x, y, np.asarray(diameters, float), np.broadcast_to(np.asarray(turn, float), count), centres)


def flame_outlines(
    centres: np.ndarray, lengths: np.ndarray, widths: np.ndarray, turn: np.ndarray, draw: np.random.Generator
) -> np.ndarray:
    """Draw streaks with feathered ends, (n, 32, 2) mm: blood between nerve fibres.

    Args:
        centres: (n, 2) mm.
        lengths: (n,) mm.
        widths: (n,) mm.
        turn: (n,) radians, direction of the fibres.
        draw: Random generator.
    """
    count, side = len(centres), 16
    at = np.linspace(-1, 1, side)
    belly = (1 - np.abs(at) ** 2.4) ** 0.8 + 0.06
    teeth = np.where(np.arange(side) % 2, 1.0, -1.0) * np.abs(at)
    x, y = [], []
    for sign in (-1.0, 1.0):
        ragged = 1 + 0.28 * draw.standard_normal((count, side)) + 0.38 * teeth * draw.random((count, side))
        x.append(at + 0.16 * teeth * draw.random((count, side)) + 0.04 * draw.standard_normal((count, side)))
        y.append(sign * belly * np.clip(ragged, 0.15, 1.8) * draw.uniform(0.7, 1.2, (count, 1)))
    bow = draw.normal(scale=0.25, size=(count, 1))
    u = np.concatenate([x[0], x[1][:, ::-1]], axis=1) * lengths[:, None] / 2
    v = np.concatenate([y[0], y[1][:, ::-1]], axis=1) * widths[:, None] / 2
    v = v + bow * u * u
    return _place(u, v, None, turn, centres)


def boat_outlines(
    centres: np.ndarray, widths: np.ndarray, heights: np.ndarray, draw: np.random.Generator
) -> np.ndarray:
    """Draw outlines of settled preretinal blood, (n, 40, 2) mm: a level top and a round, uneven bottom.

    Args:
        centres: (n, 2) mm.
        widths: (n,) mm.
        heights: (n,) mm.
        draw: Random generator.
    """
    count = len(centres)
    half = np.linspace(-0.28, math.pi + 0.28, 26)  # slightly more than half of an ellipse: round corners
    uneven = np.ones((count, 26))
    for order in (2, 3, 5, 7):
        phase = draw.uniform(0, 2 * math.pi, (count, 1))
        uneven += 0.06 / order**0.5 * draw.standard_normal((count, 1)) * np.sin(order * half + phase)
    bottom_x = np.cos(half) * np.clip(uneven, 0.7, 1.3) * widths[:, None] / 2
    bottom_y = np.sin(half) * np.where(np.sin(half) < 0, 1, np.clip(uneven, 0.5, 1.5)) * heights[:, None]
    share = np.linspace(0, 1, 16)[1:-1]
    top_x = bottom_x[:, -1:] + share * (bottom_x[:, :1] - bottom_x[:, -1:])
    top_y = -math.sin(0.28) * heights[:, None] * (1 + 0.03 * draw.standard_normal((count, 14)))
    return _place(
        np.concatenate([bottom_x, top_x], axis=1), np.concatenate([bottom_y, top_y], axis=1), None, 0.0, centres
    )


def ragged_outlines(
    centres: np.ndarray, reach: np.ndarray, borders: np.ndarray, draw: np.random.Generator, gap: float = 0.07
) -> np.ndarray:
    """Draw areas between vessels, (n, 56, 2) mm: they extend from their centres up to a vessel or their reach.

    Args:
        centres: (n, 2) mm.
        reach: (n,) mm, mean radius where no vessel limits the area.
        borders: (m, 2) mm, nodes of the vessels that limit the areas.
        draw: Random generator.
        gap: Distance from these nodes, mm.
    """
    corners, steps = 56, 16
    angle = np.linspace(0, 2 * math.pi, corners, endpoint=False)
    ray = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    rough = blob_outlines(np.zeros((len(centres), 2)), np.full(len(centres), 2.0), draw, 0.26, corners=corners)
    full = np.hypot(rough[..., 0], rough[..., 1]) * np.asarray(reach)[:, None]
    full = full * np.exp(0.09 * draw.standard_normal(full.shape))
    share = np.linspace(1 / steps, 1, steps)
    tried = centres[:, None, None] + ray[None, :, None] * (full[:, :, None] * share)[..., None]
    near, _ = cKDTree(borders).query(tried.reshape(-1, 2), distance_upper_bound=gap)
    blocked = np.isfinite(near).reshape(tried.shape[:3])
    free = np.where(blocked.any(axis=2), blocked.argmax(axis=2), steps) / steps
    radii = full * np.maximum(free, 0.12)
    return np.asarray(centres[:, None] + radii[..., None] * ray)


def fibre_points(disc: np.ndarray, start: np.ndarray | float, distance: np.ndarray) -> np.ndarray:
    """Points of nerve fibre bundles, (…, 2) mm.

    Args:
        disc: (2,) mm, centre of the disc.
        start: Angle at which the bundle leaves the disc, radians (0 nasal, π/2 below).
        distance: Distance from the centre of the disc, mm, broadcast with ``start``; below 1 / `BEND`.
    """
    shift = BEND * distance**2
    reach = shift * np.cos(start) + np.sqrt(np.maximum(distance**2 - (shift * np.sin(start)) ** 2, 0))
    return np.stack([disc[0] + reach * np.cos(start) - shift, disc[1] + reach * np.sin(start)], axis=-1)


def fibre_direction(points: np.ndarray, disc: np.ndarray) -> np.ndarray:
    """Direction of the nerve fibres at points, (n,) radians from x to y.

    Args:
        points: (n, 2) mm.
        disc: (2,) mm, centre of the disc.
    """

    def bent(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.asarray(np.arctan2(y, x + BEND * np.minimum(np.hypot(x, y), 8) ** 2))

    x, y = (points - disc).T
    step = 0.01

    def slope(ahead: np.ndarray, behind: np.ndarray) -> np.ndarray:
        return np.asarray((ahead - behind + math.pi) % (2 * math.pi) - math.pi)

    across_x = slope(bent(x + step, y), bent(x - step, y))
    across_y = slope(bent(x, y + step), bent(x, y - step))
    return np.asarray(np.arctan2(across_y, across_x) + math.pi / 2)


def _place(
    x: np.ndarray, y: np.ndarray, diameters: np.ndarray | None, turn: np.ndarray | float, centres: np.ndarray
) -> np.ndarray:
    """Rotate outlines, scale them to an area, and move the mean of their corners to the centre."""
    if diameters is not None:
        area = 0.5 * np.abs((x * np.roll(y, -1, axis=1) - y * np.roll(x, -1, axis=1)).sum(axis=1))
        scale = (0.5 * diameters * np.sqrt(math.pi / area))[:, None]
        x, y = x * scale, y * scale
    cosine, sine = np.cos(turn), np.sin(turn)
    if np.ndim(turn):
        cosine, sine = cosine[:, None], sine[:, None]
    points = np.stack([x * cosine - y * sine, x * sine + y * cosine], axis=-1)
    return np.asarray(points - points.mean(axis=1, keepdims=True) + np.asarray(centres)[:, None])
