"""The simulated eye: geometry, vessel trees, rasterised tubes, photographs, and measures of realism."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from f2vbench.phantom import realism_measures
from f2vbench.phantom.anatomy.camera import Camera, aim
from f2vbench.phantom.anatomy.landmarks import MM_PER_DEGREE, Outline, draw_anatomy
from f2vbench.phantom.anatomy.quantities import QUANTITIES, draw_values
from f2vbench.phantom.anatomy.surface import draw_fundus_surface
from f2vbench.phantom.anatomy.tube_rasterizer import draw_tubes
from f2vbench.phantom.anatomy.vessels import ARTERY, VEIN, Vessels, grow_vessels
from f2vbench.phantom.imaging.eye import Eye
from f2vbench.phantom.imaging.ground_truth import render_ground_truth
from f2vbench.phantom.imaging.optics import draw_camera_profile
from f2vbench.phantom.imaging.photograph import acquire_photograph


def _eye(seed: int, side: str = "right") -> Eye:
    draw = np.random.default_rng(seed)
    values = draw_values(draw, (np.random.default_rng([seed, 1]),), {})[0]
    anatomy = draw_anatomy(values, side, draw)
    vessels = grow_vessels(anatomy, draw)
    return Eye(anatomy, vessels, (), draw_fundus_surface(values["melanin"], 55.0, 0.0, draw), 55.0, 0.05, (seed,))


@pytest.fixture(scope="module")
def eyes() -> list[Eye]:
    return [_eye(seed) for seed in range(3)]


def test_quantities_have_the_stated_range_mean_and_correlation_between_eyes():
    pairs = []
    for seed in range(1500):
        keys = [np.random.default_rng([seed, n]) for n in range(3)]
        pairs.append(draw_values(keys[0], (keys[1], keys[2]), {}))
    for name, quantity in QUANTITIES.items():
        drawn = np.array([[eye[name] for eye in pair] for pair in pairs])
        assert quantity.low <= drawn.min()
        assert drawn.max() <= quantity.high
        assert abs(drawn.mean() - quantity.mean) < 0.25 * quantity.sd
        assert abs(np.corrcoef(drawn.T)[0, 1] - quantity.shared) < 0.08


def test_a_shift_determines_a_quantity_of_both_eyes():
    draws = [np.random.default_rng(n) for n in range(3)]
    one, two = draw_values(draws[0], (draws[1], draws[2]), {"vein_diameter": 2.0})
    expected = QUANTITIES["vein_diameter"].mean + 2 * QUANTITIES["vein_diameter"].sd
    assert one["vein_diameter"] == two["vein_diameter"] == expected


def test_the_disc_lies_nasal_to_the_fovea_and_contains_the_cup(eyes):
    for eye in eyes:
        anatomy = eye.anatomy
        assert np.hypot(*anatomy.disc.centre) == pytest.approx(anatomy.values["disc_fovea_distance"])
        assert anatomy.disc.centre[0] > 0
        assert anatomy.disc.relative(*anatomy.cup.points.T).max() < 1
        assert anatomy.cup_to_disc == pytest.approx(anatomy.values["cup_to_disc"], abs=0.02)


def test_a_notched_cup_has_the_drawn_ratio():
    values = {name: quantity.mean for name, quantity in QUANTITIES.items()} | {"cup_to_disc": 0.85}
    anatomy = draw_anatomy(values, "left", np.random.default_rng(0), notch=0.8)
    assert anatomy.cup_to_disc == pytest.approx(0.85, abs=0.02)
    assert anatomy.disc.relative(*anatomy.cup.points.T).max() <= 0.97 + 1e-6


def test_relative_distance_is_one_on_the_outline():
    outline = Outline((1.0, -2.0), np.full(96, 0.5))
    assert outline.relative(np.array([1.5, 1.0]), np.array([-2.0, -1.0])) == pytest.approx([1.0, 2.0])


def test_a_left_eye_is_a_mirrored_right_eye():
    right = Camera(size=256, field=45, centre=(0.0, 0.0))
    left = Camera(size=256, field=45, centre=(0.0, 0.0), mirrored=True)
    x, y = right.to_pixels(np.array([3.0, 1.0]))
    assert left.to_pixels(np.array([3.0, 1.0])) == pytest.approx([255 - x, y])
    assert x > 127.5 < y  # nasal is right, inferior is below


def test_a_camera_has_the_same_view_at_any_size_and_its_grid_inverts_the_projection():
    camera = Camera(size=200, field=45, centre=(1.0, 0.4), torsion=7.0, mirrored=True, fill=1.0)
    assert camera.pixels_per_mm * 45 * MM_PER_DEGREE == pytest.approx(200)
    x, y = camera.grid()
    pixels = camera.to_pixels(np.stack([x, y], axis=-1))
    assert pixels[..., 0] == pytest.approx(np.tile(np.arange(200), (200, 1)), abs=1e-3)
    half = camera.at_size(100)
    point = np.array([2.0, -1.5])
    assert (half.to_pixels(point) + 0.5) * 2 - 0.5 == pytest.approx(camera.to_pixels(point))


def test_trees_are_sorted_binary_and_rooted_in_the_disc(eyes):
    for eye in eyes:
        vessels = eye.vessels
        node = np.flatnonzero(vessels.parent >= 0)
        assert (vessels.parent[node] < node).all()
        assert np.bincount(vessels.parent[node]).max() <= 2
        assert (vessels.kind[node] == vessels.kind[vessels.parent[node]]).all()
        roots = vessels.points[vessels.parent < 0]
        assert eye.anatomy.disc.relative(*roots.T).max() < 1


def test_radii_follow_murrays_law(eyes):
    for eye in eyes:
        assert realism_measures.junction_exponent(eye.vessels) == pytest.approx(
            eye.anatomy.values["branching_exponent"], abs=0.02
        )


def test_path_is_the_sum_of_the_steps_to_the_root(eyes):
    vessels = eyes[0].vessels
    for node in (100, 1500, len(vessels.points) - 1):
        length, at = 0.0, node
        while vessels.parent[at] >= 0:
            length += np.linalg.norm(vessels.points[at] - vessels.points[vessels.parent[at]])
            at = vessels.parent[at]
        assert vessels.path[node] == pytest.approx(length)


def test_the_avascular_zone_has_no_vessels(eyes):
    for eye in eyes:
        distance = np.hypot(*eye.vessels.points.T)
        assert distance.min() > 0.45 * eye.anatomy.values["avascular_zone"]


def test_arteries_cross_veins_and_rarely_their_own_kind(eyes):
    same, other = np.sum([_count_crossings(eye) for eye in eyes], axis=0)
    assert other > 40 * len(eyes)
    assert same <= len(eyes)


def test_children_of_a_bifurcation_diverge_and_the_larger_one_bends_less(eyes):
    angles = np.concatenate([realism_measures.bifurcation_angles(eye.vessels) for eye in eyes])
    between, larger, smaller = np.median(angles, axis=0)
    assert len(angles) > 300 * len(eyes)
    assert 75 <= between <= 85  # published mean values
    assert larger < 30 < 55 < smaller
    assert (angles[:, 1] < angles[:, 2]).mean() > 0.8


def _count_crossings(eye: Eye) -> tuple[int, int]:
    """Crossings of segments of the same kind and of different kinds, outside the disc."""
    vessels = eye.vessels
    start, end = vessels.segments()
    outside = eye.anatomy.disc.relative(*vessels.points[end].T) > 1.6
    start, end = start[outside], end[outside]
    pairs = cKDTree(vessels.points[end]).query_pairs(0.4, output_type="ndarray")
    (a, c), (b, d) = start[pairs].T, end[pairs].T
    separate = (a != c) & (a != d) & (b != c) & (b != d)
    points = vessels.points
    opposite_cd = _side(points[a], points[b], points[c]) * _side(points[a], points[b], points[d]) < 0
    opposite_ab = _side(points[c], points[d], points[a]) * _side(points[c], points[d], points[b]) < 0
    crossing = separate & opposite_ab & opposite_cd
    same = vessels.kind[b] == vessels.kind[d]
    return int((crossing & same).sum()), int((crossing & ~same).sum())


def _side(start: np.ndarray, end: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Positive where points lie to one side of the lines from start to end, negative on the other side."""
    (ux, uy), (vx, vy) = (end - start).T, (point - start).T
    return ux * vy - uy * vx


@pytest.mark.parametrize("radius", [0.3, 1.2, 4.0])
def test_coverage_of_a_tube_sums_to_its_area_and_depth_to_its_volume(radius):
    start, end = np.array([[20.3, 30.7]]), np.array([[75.1, 52.2]])
    tubes = draw_tubes(start, end, np.full((1, 2), radius), 100)
    length = np.linalg.norm(end - start)
    caps = np.pi * radius**2
    assert tubes.coverage().sum() == pytest.approx(length * 2 * radius + caps, rel=0.03)
    assert tubes.depth().sum() == pytest.approx(length * np.pi * radius**2 + 4 / 3 * np.pi * radius**3, rel=0.05)


def test_each_pixel_belongs_to_the_tube_in_which_it_lies_deepest():
    draw = np.random.default_rng(1)
    start, end = draw.uniform(5, 60, (2, 12, 2))
    radius = draw.uniform(0.5, 4, (12, 1)).repeat(2, axis=1)
    tubes = draw_tubes(start, end, radius, 64)
    owner = np.full((64, 64), -1)
    owner.ravel()[tubes.pixel] = tubes.segment
    for row in range(0, 64, 3):
        for column in range(0, 64, 3):
            gaps = [_gap((column, row), a, b) - r[0] for a, b, r in zip(start, end, radius, strict=True)]
            deepest = int(np.argmin(gaps))
            if gaps[deepest] < 0.7 and sorted(gaps)[1] - gaps[deepest] > 1e-3:
                assert owner[row, column] == deepest


def _gap(point: tuple[int, int], a: np.ndarray, b: np.ndarray) -> float:
    along = np.clip(np.dot(np.array(point) - a, b - a) / np.dot(b - a, b - a), 0, 1)
    return float(np.linalg.norm(np.array(point) - a - along * (b - a)))


def test_a_photograph_is_reproducible_and_has_dark_vessels_and_a_bright_disc(eyes):
    camera_profile = draw_camera_profile(np.random.default_rng(5))
    camera = aim(eyes[1].anatomy, "macula", 45, 256, np.random.default_rng(6))
    one, two = (acquire_photograph(eyes[1], camera, camera_profile, np.random.default_rng(7)) for _ in range(2))
    other = acquire_photograph(eyes[1], camera, camera_profile, np.random.default_rng(8))
    assert one.shape == (256, 256, 3)
    assert one.dtype == np.uint8
    assert (one == two).all()
    assert (one != other).any()
    truth = render_ground_truth(eyes[1], camera)
    assert realism_measures.green_contrast(one, truth.vessels & ~truth.disc, truth.field_of_view) > 0.03
    green = one[..., 1].astype(float)
    assert green[truth.disc & ~truth.vessels].mean() > 1.2 * green[truth.field_of_view].mean()
    assert green[~truth.field_of_view].mean() < 12


def test_masks_lie_inside_the_field_and_vessels_are_arteries_or_veins(eyes):
    camera = aim(eyes[0].anatomy, "disc", 45, 256, np.random.default_rng(2))
    truth = render_ground_truth(eyes[0], camera)
    assert (truth.vessels == (truth.arteries | truth.veins)).all()
    for mask in (truth.vessels, truth.disc, truth.cup):
        assert mask.any()
        assert not (mask & ~truth.field_of_view).any()
    assert not (truth.cup & ~truth.disc).any()


def test_an_unknown_view_raises(eyes):
    with pytest.raises(ValueError, match="Unknown view 'nose'"):
        aim(eyes[0].anatomy, "nose", 45, 64, np.random.default_rng(0))


def test_fractal_dimension_of_a_line_is_one_and_of_a_full_square_two():
    line, square = np.zeros((2, 256, 256), bool)
    line[128] = True
    assert realism_measures.fractal_dimension(line) == pytest.approx(1.0, abs=0.05)
    square[::2] = True  # parallel lines are their own skeleton
    assert realism_measures.fractal_dimension(square) == pytest.approx(1.95, abs=0.06)


@pytest.mark.parametrize(("large", "small"), [(20.0, -60.0), (0.0, 90.0), (-35.0, 35.0)])
def test_bifurcation_angles_of_a_fork_are_those_it_was_drawn_with(large, small):
    fork = _fork(large, small)
    assert realism_measures.bifurcation_angles(fork) == pytest.approx(np.abs([[large - small, large, small]]), abs=1e-6)
    assert realism_measures.bifurcation_angles(fork, reach=1.1).shape == (0, 3)  # the children are 1 mm long


def _fork(large: float, small: float) -> Vessels:
    """A stem of 1 mm and two children of 1 mm at angles to it, nodes 0.1 mm apart; the second child is smaller."""
    steps = np.arange(1, 11)[:, None] * 0.1
    stem = np.column_stack([np.arange(-10, 1) * 0.1, np.zeros(11)])
    ways = [steps * [np.cos(np.radians(angle)), np.sin(np.radians(angle))] for angle in (large, small)]
    parent = np.concatenate([np.arange(-1, 10), [10], np.arange(11, 20), [10], np.arange(21, 30)])
    radius = np.repeat([0.05, 0.045, 0.03], [11, 10, 10])
    path = np.concatenate([np.arange(11) * 0.1, 1 + steps[:, 0], 1 + steps[:, 0]])
    return Vessels(np.concatenate([stem, *ways]), parent, radius, np.zeros(31, int), path, np.ones(31), 0.8)


def test_calibre_equivalents_of_equal_vessels_match_the_formula(eyes):
    vessels, anatomy = eyes[2].vessels, eyes[2].anatomy
    at = anatomy.disc.relative(*vessels.points.T)
    crossing = (at >= 2.5) & (at[np.maximum(vessels.parent, 0)] < 2.5)
    for kind in (ARTERY, VEIN):
        assert (crossing & (vessels.kind == kind)).sum() >= 6
    equal = type(vessels)(**(vars(vessels) | {"radius": np.full(len(vessels.points), 0.05)}))
    # w = 0.1 mm: three pairs, then the outer two and the middle one, then the last two.
    pair = 0.88 * np.sqrt(2) * 0.1
    expected = 0.88 * np.hypot(0.88 * np.hypot(pair, pair), pair)
    assert realism_measures.calibre_equivalents(equal, anatomy)[0] == pytest.approx(expected)


def test_green_contrast_of_a_stripe():
    photograph = np.full((120, 120, 3), 200, np.uint8)
    stripe = np.zeros((120, 120), bool)
    stripe[:, 58:61] = True
    photograph[stripe] = 150
    assert realism_measures.green_contrast(photograph, stripe, np.ones((120, 120), bool)) == pytest.approx(
        0.25, abs=0.005
    )


def test_green_spectrum_of_white_noise_increases_with_frequency_and_sums_to_its_variance():
    draw = np.random.default_rng(0)
    photograph = np.clip(draw.normal(120, 12, (512, 512, 3)), 0, 255).astype(np.uint8)
    bands = realism_measures.green_spectrum(photograph, np.ones((512, 512), bool))
    assert (np.diff(bands) > 0).all()
    assert np.sqrt((bands**2).sum()) == pytest.approx(0.1, abs=0.012)
