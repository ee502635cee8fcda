"""Measures of realism, computed in the same way on simulated and real photographs, masks and vessel trees."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
from skimage.morphology import skeletonize

from f2vbench.phantom.anatomy.landmarks import Anatomy
from f2vbench.phantom.anatomy.vessels import ARTERY, VEIN, Vessels
from f2vbench.phantom.imaging.dye import simulate_transit
from f2vbench.phantom.imaging.eye import Eye
from f2vbench.phantom.imaging.ground_truth import GroundTruth

# Plausible range of the median in healthy adults: lower limit, upper limit, source.
PUBLISHED: dict[str, tuple[float, float, str]] = {
    "vessel density": (0.08, 0.16, "an eighth of the field in DRIVE's labels; 0.085 to 0.125 in other public sets"),
    "fractal dimension": (
        1.30,
        1.52,
        "skeleton, box counting: SIVA 1.40 to 1.50; by this code 1.33 to 1.61 on real sets",
    ),
    "artery/vein equivalents": (0.60, 0.75, "Knudtson et al. 2003; means of cohorts 0.65 to 0.70"),
    "junction exponent": (2.5, 3.1, "Murray 1926: 3; measured 2.6 to 3"),
    "bifurcation angle, °": (70.0, 90.0, "Zamir et al. 1979 and others: about 75 to 85 between the children"),
    "arc over chord": (1.02, 1.15, "main vessels, Hart et al. 1999 and others"),
    "vertical cup-to-disc ratio": (0.30, 0.52, "normal eyes, Crowston et al. 2004: median 0.43"),
    "arterio-venous passage, s": (1.2, 2.6, "healthy eyes: 1.5 ± 0.6 s at the disc"),
}


def anatomical_figures(eye: Eye, truth: GroundTruth) -> dict[str, float]:
    """The measures of `PUBLISHED` for one eye; NaN where its vessels do not permit the measurement.

    Args:
        eye: The eye.
        truth: Ground truth of a view of this eye.
    """
    artery, vein = calibre_equivalents(eye.vessels, eye.anatomy)
    values = (
        vessel_density(truth.vessels, truth.field_of_view),
        fractal_dimension(truth.vessels),
        artery / vein,
        junction_exponent(eye.vessels),
        float(np.median(bifurcation_angles(eye.vessels)[:, 0])),
        arc_over_chord(eye.vessels, eye.anatomy),
        eye.anatomy.cup_to_disc,
        simulate_transit(eye.vessels, eye.anatomy.values).passage,
    )
    return dict(zip(PUBLISHED, values, strict=True))


def vessel_density(vessels: np.ndarray, field_of_view: np.ndarray) -> float:
    """Fraction of the pixels in the field of view that belong to vessels; masks are bool (h, w)."""
    return float((vessels & field_of_view).sum() / field_of_view.sum())


def fractal_dimension(vessels: np.ndarray) -> float:
    """Box-counting dimension of the skeleton of a vessel mask, bool (h, w); between 1 and 2.

    The slope of log(number of boxes with skeleton pixels) against log(1 / edge), for edges of 1/128 to 1/4 of the
    image (Mainster 1990, Eye 4:235; Stosic and Stosic 2006, IEEE Trans Med Imaging 25:1101).
    """
    skeleton = skeletonize(vessels)
    size = max(skeleton.shape)
    edges = np.unique(np.geomspace(max(size / 128, 2), size / 4, 12).astype(int))
    counts = []
    for edge in edges:
        rows, columns = np.nonzero(skeleton)
        counts.append(len(np.unique(rows // edge * (size // edge + 1) + columns // edge)))
    return float(-np.polyfit(np.log(edges), np.log(counts), 1)[0])


def arc_over_chord(vessels: Vessels, anatomy: Anatomy, reach: float = 5.0) -> float:
    """Median ratio of path length to chord over the first ``reach`` mm of first-order vessels outside the disc."""
    outside = anatomy.disc.relative(vessels.points[:, 0], vessels.points[:, 1]) > 1.2
    child = vessels.main_child()
    ratios = []
    for node in np.flatnonzero(outside & (vessels.parent >= 0) & ~outside[np.maximum(vessels.parent, 0)]):
        end = node
        while child[end] >= 0 and vessels.path[end] - vessels.path[node] < reach:
            end = child[end]
        length = vessels.path[end] - vessels.path[node]
        if length >= 0.9 * reach:
            ratios.append(length / float(np.hypot(*(vessels.points[end] - vessels.points[node]))))
    return float(np.median(ratios)) if ratios else float("nan")


def calibre_equivalents(vessels: Vessels, anatomy: Anatomy) -> tuple[float, float]:
    """Central retinal artery and vein equivalents, mm, by the revised Parr-Hubbard formula.

    The six widest vessels of each kind in a zone half to one disc diameter from the disc margin are combined
    iteratively in pairs, widest with narrowest, as c · √(w₁² + w₂²), c = 0.88 for arteries and 0.95 for veins
    (Knudtson et al. 2003, Curr Eye Res 27:143).
    """
    at = anatomy.disc.relative(vessels.points[:, 0], vessels.points[:, 1])
    above = np.maximum(vessels.parent, 0)
    crosses = (at >= 2.5) & (at[above] < 2.5) & (vessels.parent >= 0)
    equivalents = []
    for kind, factor in ((ARTERY, 0.88), (VEIN, 0.95)):
        widths = sorted(2 * vessels.radius[crosses & (vessels.kind == kind)])[-6:]
        while len(widths) > 1:
            joined = [factor * float(np.hypot(widths[i], widths[-1 - i])) for i in range(len(widths) // 2)]
            widths = sorted(joined + ([widths[len(widths) // 2]] if len(widths) % 2 else []))
        equivalents.append(widths[0] if widths else float("nan"))
    return equivalents[0], equivalents[1]


def junction_exponent(vessels: Vessels) -> float:
    """Median over the bifurcations of the exponent x with r₀ˣ = r₁ˣ + r₂ˣ, found by bisection."""
    start, node = vessels.segments()
    order = np.argsort(start, kind="stable")
    start, node = start[order], node[order]
    twin = np.flatnonzero(start[1:] == start[:-1])
    parent, one, two = (vessels.radius[i] for i in (start[twin], node[twin], node[twin + 1]))
    real = parent > np.maximum(one, two) * 1.0001
    ratio_one, ratio_two = one[real] / parent[real], two[real] / parent[real]
    low, high = np.full(len(ratio_one), 0.5), np.full(len(ratio_one), 12.0)
    for _ in range(40):
        middle = 0.5 * (low + high)
        too_small = ratio_one**middle + ratio_two**middle > 1
        low, high = np.where(too_small, middle, low), np.where(too_small, high, middle)
    return float(np.median(low))


def bifurcation_angles(vessels: Vessels, reach: float = 0.4) -> np.ndarray:
    """Angles of the bifurcations, degrees, (b, 3): between the children, larger child to stem, smaller child to stem.

    A direction is that of the chord from the bifurcation to the point ``reach`` mm away along the vessel. 0.4 mm are
    some vessel widths, the length over which graders measure. Bifurcations without ``reach`` mm of vessel on all three
    sides are omitted; along a child, the wider vessel continues beyond the next bifurcation.

    Args:
        vessels: Vessel trees.
        reach: Length of each side, mm.
    """
    child, parent, path = vessels.main_child(), vessels.parent, vessels.path
    start, node = vessels.segments()
    order = np.argsort(start, kind="stable")
    start, node = start[order], node[order]
    twin = np.flatnonzero(start[1:] == start[:-1])
    one, two = node[twin], node[twin + 1]
    swap = vessels.radius[two] > vessels.radius[one]
    stem, larger, smaller = start[twin], np.where(swap, two, one), np.where(swap, one, two)
    away = [_follow(vessels, end, stem, child, path[stem] + reach) for end in (larger, smaller)]
    back = _follow(vessels, stem, stem, parent, path[stem] - reach)
    large, small = (towards - vessels.points[stem] for towards in away)
    forward = vessels.points[stem] - back
    angles = np.stack([_angle(large, small), _angle(forward, large), _angle(forward, small)], axis=1)
    return np.asarray(angles[np.isfinite(angles).all(axis=1)])


def _follow(
    vessels: Vessels, node: np.ndarray, before: np.ndarray, successor: np.ndarray, target: np.ndarray
) -> np.ndarray:
    """Points at the path lengths ``target``, (b, 2) mm, following ``successor`` from each node; NaN beyond its end."""
    path, node, before = vessels.path, node.copy(), before.copy()
    sign = np.sign(target - path[before])
    while True:
        short = (node >= 0) & (sign * (path[node] - target) < 0)
        if not short.any():
            break
        before[short], node[short] = node[short], successor[node[short]]
    points, found = np.full((len(node), 2), np.nan), node >= 0
    node, before = node[found], before[found]
    share = ((target[found] - path[before]) / (path[node] - path[before]))[:, None]
    points[found] = vessels.points[before] + share * (vessels.points[node] - vessels.points[before])
    return points


def _angle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angle between vectors (b, 2), degrees, 0 to 180."""
    cosine = (a * b).sum(axis=1) / (np.hypot(*a.T) * np.hypot(*b.T))
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def green_contrast(photograph: np.ndarray, vessels: np.ndarray, field_of_view: np.ndarray) -> float:
    """Contrast of vessels in the green channel: median of 1 − vessel / background.

    The background is a Gaussian mean of the surrounding pixels outside vessels, its standard deviation 1/30 of the
    diameter of the field.

    Args:
        photograph: uint8 (h, w, 3), RGB.
        vessels: bool (h, w).
        field_of_view: bool (h, w).
    """
    green = photograph[..., 1].astype(np.float32)
    free = (field_of_view & ~cv2.dilate(vessels.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)).astype(
        np.float32
    )
    sd = np.sqrt(field_of_view.sum() * 4 / np.pi) / 30
    around = cv2.GaussianBlur(green * free, (0, 0), sd) / np.maximum(cv2.GaussianBlur(free, (0, 0), sd), 1e-3)
    inside = vessels & field_of_view & (around > 8)
    return float(np.median(1 - green[inside] / around[inside]))


def green_spectrum(photograph: np.ndarray, field_of_view: np.ndarray, bands: int = 8) -> np.ndarray:
    """Texture and noise of the green channel by spatial frequency.

    Args:
        photograph: uint8 (h, w, 3), RGB.
        field_of_view: bool (h, w).
        bands: Number of frequency bands.

    Returns:
        (bands,) root-mean-square contrast (relative to the mean) in logarithmic bands, from 4 cycles across the field
        to the highest frequency of a field 512 px wide; measured in the largest central square inside the field, with
        a Hann window.
    """
    rows, columns = np.flatnonzero(field_of_view.any(axis=1)), np.flatnonzero(field_of_view.any(axis=0))
    diameter = columns[-1] - columns[0] + 1
    scale = 512 / diameter
    green = cv2.resize(photograph[..., 1].astype(np.float32), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    middle = (int(scale * (rows[0] + rows[-1]) / 2), int(scale * (columns[0] + columns[-1]) / 2))
    half = int(min(0.7 * 256, 0.98 * scale * (rows[-1] - rows[0]) / 2))
    part = green[middle[0] - half : middle[0] + half, middle[1] - half : middle[1] + half]
    contrast = part / cv2.GaussianBlur(part, (0, 0), 40) - 1
    window = np.outer(np.hanning(len(part)), np.hanning(len(part)))
    power = np.abs(np.fft.rfft2(contrast * window)) ** 2 / (window**2).mean() / part.size**2
    power[:, 1:-1] *= 2
    frequency = np.hypot(np.fft.fftfreq(len(part))[:, None], np.fft.rfftfreq(len(part))[None, :]) * 512
    edges = np.geomspace(4, 362, bands + 1)
    return np.sqrt([power[(frequency >= a) & (frequency < b)].sum() for a, b in itertools.pairwise(edges)])
