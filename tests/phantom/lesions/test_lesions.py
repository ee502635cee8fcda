"""Lesions of simulated eyes: grades, sizes, positions, coverage and rendering."""

from __future__ import annotations

import math

import numpy as np
import pytest

from f2vbench.phantom.anatomy.camera import Camera
from f2vbench.phantom.anatomy.landmarks import Anatomy, draw_anatomy
from f2vbench.phantom.anatomy.quantities import draw_values
from f2vbench.phantom.anatomy.surface import draw_fundus_surface
from f2vbench.phantom.anatomy.vessels import VEIN, Vessels, grow_vessels
from f2vbench.phantom.imaging.eye import Eye
from f2vbench.phantom.imaging.lesion_rendering import render_lesions_above_vessels, render_lesions_below_vessels
from f2vbench.phantom.lesions.base import KINDS, Lesion, coverage
from f2vbench.phantom.lesions.disease import DISEASES, SEVERITIES, Findings, apply_disease_to_values, draw_findings
from f2vbench.phantom.lesions.grading import MIDDLE, beaded_length, dr_grade, glaucoma_stage, quadrant
from f2vbench.phantom.lesions.macular import LARGE_DRUSEN
from f2vbench.phantom.lesions.vascular_lesions import SIZES
from f2vbench.phantom.lesions.vein_occlusion import branch_vein_occlusion, crossings, drained_nodes, occluded_node

SEEDS = 40


def _generator(*key: int) -> np.random.Generator:
    return np.random.default_rng(key)


def _values(seed: int) -> dict[str, float]:
    return draw_values(_generator(seed, 1), (_generator(seed, 2),), {})[0]


@pytest.fixture(scope="module")
def healthy() -> list[tuple[Anatomy, Vessels]]:
    eyes = []
    for seed in range(3):
        anatomy = draw_anatomy(_values(seed), "right", _generator(seed, 3))
        eyes.append((anatomy, grow_vessels(anatomy, _generator(seed, 4))))
    return eyes


def _findings(healthy: list[tuple[Anatomy, Vessels]], disease: str, severity: int, seed: int) -> Findings:
    return draw_findings(disease, severity, *healthy[seed % len(healthy)], 64.0, _generator(seed, severity))


@pytest.mark.parametrize("grade", [1, 2, 3, 4])
def test_diabetic_eyes_have_exactly_the_requested_grade(healthy, grade):
    for seed in range(SEEDS):
        found = _findings(healthy, "diabetic_retinopathy", grade, seed)
        assert dr_grade(found.lesions, found.vessels, healthy[seed % 3][0]) == grade, seed


@pytest.mark.parametrize("disease", ["normal", "glaucoma", "cataract", "pathological_myopia"])
def test_other_diseases_and_age_do_not_cause_diabetic_retinopathy(healthy, disease):
    for severity in SEVERITIES[disease]:
        for seed in range(10):
            found = _findings(healthy, disease, severity, seed)
            assert dr_grade(found.lesions, found.vessels, healthy[seed % 3][0]) == 0


def _dots(kind: str, points: list[tuple[float, float]]) -> list[Lesion]:
    square = 0.05 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    return [Lesion(kind, np.asarray(point) + square) for point in points]


def test_grades_follow_the_international_scale(healthy):
    anatomy, vessels = healthy[0]
    corners = [(MIDDLE[0] + dx, MIDDLE[1] + dy) for dx in (-2.0, 2.0) for dy in (-2.0, 2.0)]

    def grade(*lesions: Lesion) -> int:
        return dr_grade(lesions, vessels, anatomy)

    assert sorted(quadrant(np.array(corners)).tolist()) == [0, 1, 2, 3]
    assert grade() == 0
    assert grade(*_dots("laser_scar", corners), *_dots("drusen", corners), *_dots("atrophy", corners)) == 0
    assert grade(*_dots("microaneurysm", corners * 30)) == 1
    assert grade(*_dots("microaneurysm", corners), *_dots("hard_exudate", corners)) == 2
    assert grade(*_dots("haemorrhage", corners * 20)) == 2
    assert grade(*_dots("haemorrhage", corners * 20 + corners[:3])) == 2
    assert grade(*_dots("haemorrhage", corners * 21)) == 3
    assert grade(*_dots("intraretinal_microvascular_abnormality", corners[:1])) == 3
    assert grade(*_dots("neovascularisation", corners[:1])) == 4
    assert grade(*_dots("preretinal_haemorrhage", corners[:1])) == 4


def test_beading_is_detected_in_the_quadrants_with_beaded_veins_only(healthy):
    anatomy, vessels = healthy[1]
    assert beaded_length(vessels, anatomy).max() < 0.5
    inner = np.abs(vessels.points - MIDDLE).min(axis=1) > 0.8
    selected = np.isin(quadrant(vessels.points), [0, 3]) & (vessels.kind == VEIN) & inner
    factor = 1 + 0.3 * np.sin(2 * math.pi * vessels.path / 0.6) * selected
    beaded = Vessels(**{**vars(vessels), "radius": vessels.radius * factor})
    assert (beaded_length(beaded, anatomy) > 1.5).tolist() == [True, False, False, True]
    arteries = Vessels(**{**vars(beaded), "kind": 1 - vessels.kind})
    assert beaded_length(arteries, anatomy).max() < 0.5


@pytest.mark.parametrize("severity", [1, 2])
def test_glaucoma_has_the_requested_stage_and_a_large_cup(severity):
    for seed in range(SEEDS):
        values, notch = apply_disease_to_values("glaucoma", severity, _values(seed), _generator(seed, 5))
        anatomy = draw_anatomy(values, "right", _generator(seed, 6), notch)
        vessels = Vessels(np.zeros((1, 2)), *(np.zeros(1, int) for _ in range(5)), 0.8)
        found = draw_findings("glaucoma", severity, anatomy, vessels, 64.0, _generator(seed, 7))
        assert glaucoma_stage(anatomy, found.lesions) == severity
        assert anatomy.cup_to_disc > 0.56
    normal = [draw_anatomy(_values(seed), "right", _generator(seed, 6)) for seed in range(SEEDS)]
    assert {glaucoma_stage(anatomy, ()) for anatomy in normal} == {0}


def test_lesions_have_the_sizes_of_their_kind_and_spare_disc_and_fovea(healthy):
    for disease, severities in SEVERITIES.items():
        for severity in severities:
            for seed in range(4):
                anatomy = healthy[seed % 3][0]
                for lesion in _findings(healthy, disease, severity, seed).lesions:
                    assert lesion.kind in KINDS
                    assert np.isfinite(lesion.outline).all()
                    assert 0 < lesion.strength <= 1
                    assert 0 <= lesion.leak <= 1
                    if disease == "diabetic_retinopathy" and lesion.kind in SIZES:
                        low, high = SIZES[lesion.kind]
                        assert 0.99 * low <= lesion.diameter <= 1.01 * high, lesion.kind
                        assert anatomy.disc.relative(*lesion.centre) > 1
                        assert math.hypot(*lesion.centre) > 0.1


def test_intermediate_macular_degeneration_has_large_drusen_in_the_macula(healthy):
    for seed in range(10):
        drusen = [each for each in _findings(healthy, "macular_degeneration", 1, seed).lesions if each.kind == "drusen"]
        large = [each for each in drusen if each.diameter >= LARGE_DRUSEN and math.hypot(*each.centre) < 3.0]
        assert len(large) >= 3
        assert all(lesion.leak == 0 for lesion in drusen)


def test_only_severe_vein_occlusion_closes_capillaries(healthy):
    for seed in range(5):
        kinds = [{each.kind for each in _findings(healthy, "branch_vein_occlusion", n, seed).lesions} for n in (1, 2)]
        assert "non_perfusion" not in kinds[0]
        assert {"non_perfusion", "haemorrhage", "oedema"} <= kinds[1]


def test_vein_occlusion_is_limited_to_the_sector_of_one_crossed_vein(healthy):
    for seed in range(12):
        anatomy, vessels = healthy[seed % 3]
        lesions, changed = branch_vein_occlusion(2, anatomy, vessels, _generator(seed, 8))
        node = occluded_node(anatomy, vessels, _generator(seed, 8))  # the first draw of branch_vein_occlusion
        assert node in crossings(vessels)
        sector = drained_nodes(vessels, node)
        assert (vessels.kind[sector] == VEIN).all()
        ratio = changed.radius / vessels.radius
        assert (ratio[~sector] <= 1).all()
        assert 1.2 <= ratio.max() <= 1.5
        # The nearest vein of every haemorrhage belongs to the sector.
        veins = np.flatnonzero(vessels.kind == VEIN)
        kinds = {"haemorrhage", "cotton_wool_spot", "microaneurysm"}
        centres = np.array([each.centre for each in lesions if each.kind in kinds])
        gaps = np.linalg.norm(centres[:, None] - vessels.points[veins][None], axis=2)
        assert sector[veins[gaps.argmin(axis=1)]].mean() > 0.99
        assert len(centres) > 20


def _area(outline: np.ndarray) -> float:
    x, y = outline.T
    return 0.5 * abs(sum(x[n - 1] * y[n] - x[n] * y[n - 1] for n in range(len(x))))


@pytest.mark.parametrize("size", [256, 512])
@pytest.mark.parametrize("diameter", [0.3, 1.0, 4.0])
def test_coverage_sums_to_the_area_of_the_outlines(size, diameter):
    camera = Camera(size, 45.0, (0.4, -0.1), torsion=4.0, mirrored=True)
    angle = np.linspace(0, 2 * math.pi, 60, endpoint=False)
    disc = 0.5 * diameter * np.stack([np.cos(angle), np.sin(angle)], axis=1) + [1.03, 0.77]
    square = diameter * np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) - [2.0, 1.51]
    for outline in (disc, square, square[::-1]):
        covered = coverage([Lesion("drusen", outline)], camera)
        assert covered.max() == 1
        assert covered.sum() / camera.pixels_per_mm**2 == pytest.approx(_area(outline), rel=0.015)
    assert coverage([Lesion("drusen", disc), Lesion("drusen", square)], camera).max() <= 1


def test_coverage_has_the_largest_attribute_and_ignores_lesions_outside_the_image():
    camera = Camera(128, 45.0, (0.0, 0.0))
    square = np.array([[-1.0, -1], [1, -1], [1, 1], [-1, 1]])
    both = [Lesion("oedema", 2 * square, 0.8, 0.5), Lesion("oedema", square, 0.4, 1.0)]
    assert coverage(both, camera)[64, 64] == pytest.approx(0.8, abs=0.01)
    assert coverage(both, camera, by="leak")[64, 64] == pytest.approx(1.0, abs=0.01)
    assert coverage(both, camera, by="leak")[64, 48] == pytest.approx(0.5, abs=0.01)
    assert coverage(both, camera, by="one")[64, 64] == 1
    assert not coverage([Lesion("oedema", square + 50)], camera).any()
    assert not coverage([], camera).any()


def test_the_same_seed_gives_the_same_lesions(healthy):
    for disease in DISEASES:
        severity = SEVERITIES[disease][-1]
        first, second = (_findings(healthy, disease, severity, 5) for _ in range(2))
        assert len(first.lesions) == len(second.lesions)
        for one, other in zip(first.lesions, second.lesions, strict=True):
            assert one.outline.tobytes() == other.outline.tobytes()
            assert (one.kind, one.strength, one.leak) == (other.kind, other.strength, other.leak)
        assert first.vessels.radius.tobytes() == second.vessels.radius.tobytes()


def test_left_eyes_are_mirrored_right_eyes(healthy):
    lesions = _findings(healthy, "diabetic_retinopathy", 3, 1).lesions
    right, left = (Camera(256, 45.0, (0.0, 0.0), mirrored=mirrored) for mirrored in (False, True))
    covered, mirrored_back = coverage(lesions, right), coverage(lesions, left)[:, ::-1]
    assert np.abs(covered - mirrored_back).max() < 0.3  # a sub-pixel on the border
    assert np.abs(covered - mirrored_back).mean() < 0.02 * covered.mean()


def test_blood_darkens_a_photograph_and_exudates_drusen_and_scars_brighten_it(healthy):
    anatomy, vessels = healthy[0]
    surface = draw_fundus_surface(0.4, 60.0, 0.0, _generator(9))
    camera = Camera(256, 45.0, (0.0, 0.0))
    fundus = np.broadcast_to(np.array([0.6, 0.25, 0.1], np.float32), (256, 256, 3)).copy()
    renderers = {
        "haemorrhage": (render_lesions_above_vessels, -1),
        "preretinal_haemorrhage": (render_lesions_above_vessels, -1),
        "hard_exudate": (render_lesions_above_vessels, 1),
        "cotton_wool_spot": (render_lesions_above_vessels, 1),
        "drusen": (render_lesions_below_vessels, 1),
        "atrophy": (render_lesions_below_vessels, 1),
        "laser_scar": (render_lesions_below_vessels, 1),
        "nerve_fibre_defect": (render_lesions_below_vessels, -1),
    }
    outline = 0.6 * np.array([[-1.0, -1], [1, -1], [1, 1], [-1, 1]])
    for kind, (render, sign) in renderers.items():
        eye = Eye(anatomy, vessels, (Lesion(kind, outline),), surface, 60.0, 0.0, (1,))
        change = (render(fundus, eye, camera, _generator(1)) - fundus)[..., 1]
        inside = coverage(eye.lesions, camera) == 1
        assert sign * change[inside].mean() > 0.01, kind
        assert np.abs(change[:60]).max() == 0
    empty = Eye(anatomy, vessels, (), surface, 60.0, 0.0, (1,))
    assert render_lesions_below_vessels(fundus, empty, camera, _generator(1)) is fundus
    assert render_lesions_above_vessels(fundus, empty, camera, _generator(1)) is fundus


def test_unknown_diseases_and_severities_raise(healthy):
    with pytest.raises(ValueError, match="Unknown disease 'flu'"):
        draw_findings("flu", 1, *healthy[0], 60.0, _generator(1))
    with pytest.raises(ValueError, match="Unknown severity 3 of glaucoma; known: 1, 2"):
        apply_disease_to_values("glaucoma", 3, {}, _generator(1))
