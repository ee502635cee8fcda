"""Angiograms of simulated eyes: dye kinetics, frames, lesions in angiograms, and other modalities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from f2vbench.phantom.anatomy.camera import Camera, aim
from f2vbench.phantom.anatomy.landmarks import draw_anatomy
from f2vbench.phantom.anatomy.quantities import QUANTITIES, draw_values
from f2vbench.phantom.anatomy.surface import draw_fundus_surface
from f2vbench.phantom.anatomy.tube_rasterizer import draw_tubes
from f2vbench.phantom.anatomy.vessels import ARTERY, VEIN, Vessels, grow_vessels
from f2vbench.phantom.imaging import dye
from f2vbench.phantom.imaging.angiogram import PHASES, Angiogram, acquire_angiogram
from f2vbench.phantom.imaging.eye import Eye
from f2vbench.phantom.imaging.ground_truth import outline_mask, render_ground_truth
from f2vbench.phantom.imaging.layers import render_layers
from f2vbench.phantom.imaging.modalities import acquire_autofluorescence, acquire_icg, acquire_red_free
from f2vbench.phantom.lesions.base import Lesion, coverage

SIZE = 256


def grown_eye(seed: int) -> Eye:
    draw = np.random.default_rng(seed)
    values, _ = draw_values(draw, (np.random.default_rng(seed + 1), np.random.default_rng(seed + 2)), {})
    anatomy = draw_anatomy(values, "right", draw)
    vessels = grow_vessels(anatomy, draw)
    return Eye(anatomy, vessels, (), draw_fundus_surface(values["melanin"], 55, 0.0, draw), 55.0, 0.05, (seed,))


@pytest.fixture(scope="module")
def eye() -> Eye:
    return grown_eye(3)


@pytest.fixture(scope="module")
def camera(eye: Eye) -> Camera:
    return aim(eye.anatomy, "macula", 50, SIZE, np.random.default_rng(4))


@pytest.fixture(scope="module")
def angiogram(eye: Eye, camera: Camera) -> Angiogram:
    return acquire_angiogram(eye, camera, np.random.default_rng(5))


def circle(x: float, y: float, radius: float) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    return np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=1)


def with_lesions(eye: Eye, *lesions: Lesion) -> Eye:
    return replace(eye, lesions=lesions)


def hand_made(radius: list[float], supply: list[float], kind: int) -> Vessels:
    """A stem of 2 mm, and two branches of 1 and 3 mm at its end."""
    points = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [2.0, -3.0]])
    parent = np.array([-1, 0, 1, 1])
    return Vessels(points, parent, np.array(radius), np.full(4, kind), np.array([0.0, 2, 3, 5]), np.array(supply), 0.8)


# --- dye ---------------------------------------------------------------------------------------------------------


def test_dye_concentration_is_zero_before_arrival_peaks_after_seconds_and_falls_within_minutes() -> None:
    seconds = np.array([-5.0, 0.0, 1.0, 6.0, 20.0, 60.0, 600.0])
    level = dye.concentration(seconds)
    assert (level[:2] == 0).all()
    assert level.argmax() == 3
    assert (np.diff(level[3:]) < 0).all()
    assert level[-1] < 0.2 * level[3]


def test_the_arterial_front_takes_length_over_velocity_on_each_segment() -> None:
    # Main vessels of 100 µm; a branch with an eighth of the terminal nodes and half the radius (Murray's law with
    # exponent 3) carries an eighth of the flow through a quarter of the cross-section: half the velocity.
    tree = hand_made([0.05, 0.05, 0.025, 0.025], [8, 8, 1, 1], ARTERY)
    values = {"artery_velocity": 20.0, "artery_diameter": 100.0, "branching_exponent": 3.0}
    seconds = dye.piece_seconds(tree, values)
    np.testing.assert_allclose(seconds, [0, 2 / 20, 1 / 10, 3 / 10])
    arrival = dye.arterial_arrival(tree.parent, seconds, 11.0)
    np.testing.assert_allclose(arrival, [11, 11.1, 11.2, 11.4])


def test_velocity_in_a_congested_vein_is_inverse_to_its_cross_section() -> None:
    values = {"vein_velocity": 16.0, "vein_diameter": 100.0, "branching_exponent": 3.0}
    healthy = dye.piece_seconds(hand_made([0.05] * 4, [8] * 4, VEIN), values)
    congested = dye.piece_seconds(hand_made([0.05, 0.05, 0.05, 0.05 * 1.4], [8] * 4, VEIN), values)
    np.testing.assert_allclose(congested[3], healthy[3] * 1.4**2)
    np.testing.assert_allclose(congested[:3], healthy[:3])


def test_venous_arrival_is_the_mean_and_spread_of_its_streams() -> None:
    parent, seconds = np.array([-1, 0, 1, 1]), np.array([0, 0.5, 1.0, 2.0])
    supplied = np.array([0, 0, 10.0, 13.0])
    mean, spread = dye.venous_arrival(parent, seconds, supplied)
    streams = np.array([10 + 1.0, 13 + 2.0])
    np.testing.assert_allclose(mean, [streams.mean() + 0.5, streams.mean(), 10, 13])
    capillary = spread[2]  # spread of the capillary transit before one terminal node
    np.testing.assert_allclose(spread[:2], np.sqrt(streams.var() + capillary**2))


@pytest.mark.parametrize("seed", [3, 11, 12])
def test_veins_fill_after_arteries_of_the_same_calibre_and_within_published_times(seed: int) -> None:
    eye = grown_eye(seed)
    transit = dye.simulate_transit(eye.vessels, eye.anatomy.values)
    first = transit.arrival - dye.FIRST_LAMINA * transit.spread
    for low, high in ((0.0, 0.02), (0.02, 0.035), (0.035, 0.2)):
        calibre = (eye.vessels.radius >= low) & (eye.vessels.radius < high)
        artery, vein = (calibre & (eye.vessels.kind == kind) for kind in (ARTERY, VEIN))
        assert np.median(first[vein]) > np.median(transit.arrival[artery])
    assert 0.9 <= transit.passage <= 3.5  # Wolf et al. 1989
    assert transit.passage == pytest.approx(eye.anatomy.values["passage_time"], abs=0.3)
    roots = (eye.vessels.kind == VEIN) & (eye.vessels.parent < 0)
    full = np.median((transit.arrival + 1.28 * transit.spread)[roots]) - transit.first_lamina
    assert 1.5 < full < 7


def test_dye_is_laminar_at_the_walls_of_a_vein_first_and_fills_it_later() -> None:
    start, end = np.array([[5.0, 20.0]], np.float32), np.array([[35.0, 20.0]], np.float32)
    tube = draw_tubes(start, end, np.full((1, 2), 7.0, np.float32), 41)

    def profile(share: float) -> np.ndarray:
        return tube.spread(dye.laminar_depth(tube, np.full(len(tube.pixel), share)))[:, 20]

    early, late = profile(0.3), profile(1.0)
    assert early[14] > 1.8 * early[20]
    assert early[26] > 1.8 * early[20]
    assert late[20] == late.max()
    # The undyed core has radius 7·√0.7; the chord through the centre crosses the shell twice.
    assert early[20] == pytest.approx(2 * (7 - 7 * np.sqrt(0.7)), abs=0.05)
    assert profile(0.0).max() < 1e-3


def test_a_leak_grows_in_area_and_brightness() -> None:
    assert dye.spread_of_leak(600) > dye.spread_of_leak(60) > dye.spread_of_leak(5) > dye.spread_of_leak(-1) == 0
    source = np.array([0.0, 0.2, 1.0])
    early, late = dye.leakage(source, 15), dye.leakage(source, 500)
    assert early[0] == late[0] == 0
    assert (late[1:] > early[1:]).all()
    assert (late < 1).all()


# --- frames ------------------------------------------------------------------------------------------------------


def test_an_angiogram_has_four_frames_per_phase_in_order_of_time(angiogram: Angiogram, camera: Camera) -> None:
    assert angiogram.frames.shape == (12, SIZE, SIZE)
    assert angiogram.frames.dtype == np.uint8
    assert angiogram.phases == tuple(phase for phase in PHASES for _ in range(4))
    assert (np.diff(angiogram.seconds) > 0).all()
    assert (angiogram.frames[:, ~camera.field_of_view()] == 0).all()


@pytest.mark.parametrize("seed", range(4))
def test_acquisition_times_lie_in_their_phases(seed: int) -> None:
    eye = grown_eye(20 + seed)
    camera = aim(eye.anatomy, "disc", 45, 96, np.random.default_rng(seed))
    seconds = acquire_angiogram(eye, camera, np.random.default_rng(seed)).seconds
    low, high = (
        sum(getattr(QUANTITIES[name], end) for name in ("arm_to_choroid", "artery_delay")) for end in ("low", "high")
    )
    assert low < seconds[0] < high + 2
    assert (np.diff(seconds) > 0).all()
    assert seconds[3] < 25
    assert seconds[7] <= 90
    assert seconds[8] >= 300
    assert seconds[11] <= 900


def test_an_angiogram_is_reproducible_and_depends_on_the_seed(eye: Eye, camera: Camera) -> None:
    one, same, other = (acquire_angiogram(eye, camera, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one.frames.tobytes() == same.frames.tobytes()
    assert (one.seconds == same.seconds).all()
    assert (one.frames != other.frames).any()


def test_a_noise_free_angiogram_has_the_same_times_and_depends_on_nothing_else_that_is_drawn(
    eye: Eye, camera: Camera, angiogram: Angiogram, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = acquire_angiogram(eye, camera, np.random.default_rng(5), noise=False)
    assert (expected.seconds == angiogram.seconds).all()
    assert expected.phases == angiogram.phases
    assert (expected.frames[:, ~camera.field_of_view()] == 0).all()
    # Other camera settings, motion and noise at the same acquisition times give the same frames.
    monkeypatch.setattr(
        "f2vbench.phantom.imaging.angiogram.draw_acquisition_times", lambda transit, draw: angiogram.seconds
    )
    other = acquire_angiogram(eye, camera, np.random.default_rng(77), noise=False)
    assert other.frames.tobytes() == expected.frames.tobytes()


def test_noise_free_frames_are_the_mean_of_many_acquisitions(
    eye: Eye, camera: Camera, angiogram: Angiogram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "f2vbench.phantom.imaging.angiogram.draw_acquisition_times", lambda transit, draw: angiogram.seconds
    )
    expected = acquire_angiogram(eye, camera, np.random.default_rng(0), noise=False).frames.astype(float)
    acquired = np.array([acquire_angiogram(eye, camera, np.random.default_rng(n)).frames for n in range(24)], float)
    inside = camera.field_of_view()
    error = np.abs(acquired - expected)[:, :, inside].mean(axis=(0, 2))
    error_of_mean = np.abs(acquired.mean(axis=0) - expected)[:, inside].mean(axis=1)
    assert (error_of_mean < 0.5 * error).all()
    assert np.median(expected[4:, inside], axis=1) == pytest.approx(0.205 * 255, abs=2)


def test_arteries_are_bright_before_veins_fill(eye: Eye, camera: Camera, angiogram: Angiogram) -> None:
    truth = render_ground_truth(eye, camera)
    arteries, veins = truth.arteries & ~truth.veins, truth.veins & ~truth.arteries
    behind = truth.field_of_view & ~truth.vessels & ~truth.disc
    early, peak = angiogram.frames[1].astype(float), angiogram.frames[5].astype(float)
    assert early[arteries].mean() > 1.5 * early[behind].mean()
    assert early[veins].mean() < early[arteries].mean() / 1.8
    assert peak[veins].mean() > 1.5 * peak[behind].mean()
    late = angiogram.frames[11].astype(float)
    assert late[arteries].mean() / late[behind].mean() < peak[arteries].mean() / peak[behind].mean()


def test_large_veins_are_darker_than_the_flush_before_they_fill(eye: Eye, camera: Camera) -> None:
    layers = render_layers(eye, camera)
    light = layers.emission_at(layers.transit.artery_at_disc + 0.6)
    truth = render_ground_truth(eye, camera)
    outside = truth.field_of_view & (eye.anatomy.disc.relative(*camera.grid()) > 1.3)
    wide = (layers.veins.tubes.radius > 0.05 * camera.pixels_per_mm) & (np.abs(layers.veins.tubes.offset) < 0.5)
    axes = outside & ~truth.arteries & (layers.veins.tubes.spread(wide.astype(float)) > 0)
    assert np.median(light[axes]) < 0.7 * np.median(light[outside & ~truth.vessels])


def test_the_fovea_is_darker_than_its_surround(camera: Camera, angiogram: Angiogram) -> None:
    distance = np.hypot(*camera.grid())
    for frame in angiogram.frames[3:8]:
        assert frame[distance < 0.25].mean() < 0.8 * np.median(frame[(distance > 1.5) & (distance < 3)])


def test_the_disc_rim_is_dark_early_and_bright_late(eye: Eye, camera: Camera, angiogram: Angiogram) -> None:
    truth = render_ground_truth(eye, camera)
    around = truth.field_of_view & ~truth.vessels & ~truth.disc
    rim = outline_mask(eye.anatomy.disc, camera) & ~truth.cup & ~truth.vessels
    contrast = [np.median(frame[rim]) / np.median(frame[around]) for frame in angiogram.frames]
    assert contrast[1] < 0.8
    assert contrast[11] > 1.1


# --- lesions -----------------------------------------------------------------------------------------------------


def frames_of(eye: Eye, camera: Camera) -> np.ndarray:
    return acquire_angiogram(eye, camera, np.random.default_rng(6)).frames.astype(float)


def test_preretinal_blood_is_dark_in_every_frame(eye: Eye, camera: Camera) -> None:
    lesion = Lesion("preretinal_haemorrhage", circle(-1.5, 2.0, 0.9))
    frames = frames_of(with_lesions(eye, lesion), camera)
    mask = coverage([Lesion("oedema", circle(-1.5, 2.0, 0.7))], camera) > 0.99
    assert (np.median(frames[:, mask], axis=1) < 0.6 * np.median(frames[:, camera.field_of_view()], axis=1)).all()


def test_non_perfused_areas_are_dark_and_have_no_small_vessels(eye: Eye, camera: Camera) -> None:
    lesion = Lesion("non_perfusion", circle(-2.0, -1.5, 1.3))
    sick = with_lesions(eye, lesion)
    mask = coverage([Lesion("oedema", circle(-2.0, -1.5, 1.1))], camera) > 0.99
    layers, healthy = render_layers(sick, camera), render_layers(eye, camera)
    assert layers.capillaries[mask].mean() < 0.1 * healthy.capillaries[mask].mean()
    assert len(layers.arteries.tubes.pixel) < len(healthy.arteries.tubes.pixel)
    moment = layers.transit.first_lamina + 6
    assert np.median(layers.emission_at(moment)[mask]) < 0.75 * np.median(healthy.emission_at(moment)[mask])


def test_new_vessels_leak_over_a_growing_area(eye: Eye, camera: Camera) -> None:
    angle = np.linspace(0, 2 * np.pi, 13)
    loop = np.stack([-2 + 0.3 * np.cos(angle), 0.4 + 0.3 * np.sin(angle)], axis=1)
    lesion = Lesion(
        "neovascularisation", circle(-2, 0.4, 0.35), leak=1.0, strands=np.stack([loop[:-1], loop[1:]], axis=1)
    )
    layers, healthy = render_layers(with_lesions(eye, lesion), camera), render_layers(eye, camera)
    areas = [
        int((layers.emission_at(moment) - healthy.emission_at(moment) > 0.05).sum())
        for moment in (18.0, 60.0, 300.0, 700.0)
    ]
    assert areas[0] > 0
    assert areas == sorted(areas)
    assert areas[3] > 1.5 * areas[0]


def test_a_microaneurysm_is_bright_after_the_capillary_phase(eye: Eye, camera: Camera) -> None:
    lesion = Lesion("microaneurysm", circle(-1.2, 0.3, 0.05), leak=0.2)
    layers, healthy = render_layers(with_lesions(eye, lesion), camera), render_layers(eye, camera)
    column, row = np.rint(camera.to_pixels(np.array([-1.2, 0.3]))).astype(int)
    start, peak = layers.transit.artery_at_disc, layers.transit.first_lamina + 6
    assert layers.emission_at(start)[row, column] == pytest.approx(healthy.emission_at(start)[row, column], abs=0.02)
    assert layers.emission_at(peak)[row, column] > healthy.emission_at(peak)[row, column] + 0.25


@pytest.mark.parametrize("kind", ["drusen", "laser_scar", "oedema", "crescent"])
def test_staining_and_pooling_increase_with_time(eye: Eye, camera: Camera, kind: str) -> None:
    lesion = Lesion(kind, circle(-2.6, 0.6, 0.4), leak=0.8, softness=0.05)
    layers, healthy = render_layers(with_lesions(eye, lesion), camera), render_layers(eye, camera)
    near = coverage([Lesion("oedema", circle(-2.6, 0.6, 0.5))], camera) > 0.5

    def added(seconds: float) -> float:
        return float((layers.emission_at(seconds) - healthy.emission_at(seconds))[near].mean())

    assert added(600.0) > max(added(layers.transit.first_lamina), 0.01)


def test_a_window_defect_is_bright_from_the_choroidal_flush_and_keeps_its_border(eye: Eye, camera: Camera) -> None:
    lesion = Lesion("atrophy", circle(-0.5, 0.2, 0.9))
    layers, healthy = render_layers(with_lesions(eye, lesion), camera), render_layers(eye, camera)
    mask = coverage([lesion], camera) > 0.5
    for seconds in (layers.transit.artery_at_disc + 3, 60.0, 500.0):
        gain = layers.emission_at(seconds) - healthy.emission_at(seconds)
        assert np.median(gain[mask]) > 0
        assert np.abs(gain[~mask & (coverage([lesion], camera) == 0)]).max() < 1e-3


# --- other modalities -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("acquire", [acquire_icg, acquire_red_free, acquire_autofluorescence])
def test_images_of_other_modalities_are_reproducible_and_black_outside_the_field(acquire, eye, camera) -> None:
    one, same = (acquire(eye, camera, np.random.default_rng(7)) for _ in range(2))
    assert one.dtype == np.uint8
    assert one.shape == (SIZE, SIZE)
    assert one.tobytes() == same.tobytes()
    assert (one[~camera.field_of_view()] == 0).all()
    assert 20 < np.median(one[camera.field_of_view()]) < 220


def test_contrast_of_vessels_and_disc_in_other_modalities(eye: Eye, camera: Camera) -> None:
    truth = render_ground_truth(eye, camera)
    around = truth.field_of_view & ~truth.vessels & ~truth.disc
    bare_disc = truth.disc & ~truth.vessels

    def against_retina(image: np.ndarray, mask: np.ndarray) -> float:
        return float(np.median(image[mask]) / np.median(image[around]))

    green, blue, infrared = (
        acquire(eye, camera, np.random.default_rng(8))
        for acquire in (acquire_red_free, acquire_autofluorescence, acquire_icg)
    )
    assert against_retina(green, truth.vessels) < 0.9
    assert against_retina(green, bare_disc) > 1.1
    assert against_retina(blue, truth.vessels) < 0.75
    assert against_retina(blue, bare_disc) < 0.4
    assert against_retina(infrared, truth.vessels) > 1.1
    assert against_retina(infrared, bare_disc) < 0.6


def test_atrophy_has_no_autofluorescence(eye: Eye, camera: Camera) -> None:
    lesion = Lesion("atrophy", circle(-1.8, 0.5, 0.8))
    mask = coverage([lesion], camera) > 0.99
    sick, healthy = (
        acquire_autofluorescence(each, camera, np.random.default_rng(9)) for each in (with_lesions(eye, lesion), eye)
    )
    assert np.median(sick[mask]) < 0.35 * np.median(healthy[mask])


def test_an_icg_frame_before_the_arrival_of_the_dye_raises(eye: Eye, camera: Camera) -> None:
    with pytest.raises(ValueError, match="no dye in the eye 3 s after injection"):
        acquire_icg(eye, camera, np.random.default_rng(0), seconds=3)
