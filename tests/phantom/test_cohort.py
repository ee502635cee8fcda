"""Cohorts of simulated patients: eyes by index, labels that agree with the eye, outcomes of the stated effect size."""

from __future__ import annotations

import gc
import pickle
import weakref

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from f2vbench.errors import SettingsError
from f2vbench.phantom import Cohort
from f2vbench.phantom.anatomy.camera import VIEWS
from f2vbench.phantom.anatomy.quantities import QUANTITIES
from f2vbench.phantom.export.contact_sheet import contact_sheet
from f2vbench.phantom.export.tables import draw_splits
from f2vbench.phantom.lesions.disease import DISEASES
from f2vbench.phantom.outcomes import OUTCOMES, PREVALENCE, best_auroc, draw_outcomes

SIZE = 96


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return Cohort(3, 4, size=SIZE)


def test_an_eye_does_not_depend_on_the_order_of_generation_or_the_size_of_the_cohort(cohort):
    last = [eye.photograph().image for eye in cohort[3:6]][-1]
    alone = Cohort(3, 900, size=SIZE)[5]
    assert np.array_equal(alone.photograph().image, last)
    assert alone.labels == cohort[5].labels
    again = pickle.loads(pickle.dumps(cohort))[5]
    assert np.array_equal(again.angiogram().frames, cohort[5].angiogram().frames)
    assert not np.array_equal(Cohort(4, 4, size=SIZE)[5].photograph().image, last)


def test_a_cohort_is_a_sequence_with_two_eyes_per_patient(cohort):
    assert len(cohort) == 8
    assert [eye.name for eye in cohort[:3]] == ["P00001_right", "P00001_left", "P00002_right"]
    assert cohort[-1].name == cohort[7].name == "P00004_left"
    assert [eye.name for eye in cohort] == [eye.name for eye in cohort[:]]
    for wrong in (8, -9):
        with pytest.raises(IndexError, match="0 to 7"):
            cohort[wrong]


def test_a_cohort_keeps_no_reference_to_its_eyes(cohort):
    eye = cohort[0]
    assert eye.eye is eye.eye
    reference = weakref.ref(eye.eye)
    del eye
    gc.collect()
    assert reference() is None


@pytest.mark.parametrize("view", VIEWS)
def test_photograph_truth_and_angiogram_share_a_view(cohort, view):
    eye = cohort[1]
    photograph = eye.photograph(view)
    assert (photograph.image.shape, photograph.image.dtype) == ((SIZE, SIZE, 3), np.uint8)
    truth = eye.truth(view)
    for name in ("vessels", "disc", "cup", "field_of_view"):
        assert np.array_equal(getattr(photograph.truth, name), getattr(truth, name))
    assert np.array_equal(photograph.camera.field_of_view(), truth.field_of_view)
    angiogram = eye.angiogram(view)
    assert angiogram.frames.shape == (12, SIZE, SIZE)
    noise_free = eye.angiogram(view, noise=False)
    assert np.array_equal(noise_free.seconds, angiogram.seconds)
    assert not np.array_equal(noise_free.frames, angiogram.frames)
    venous = angiogram.frames[5].astype(float)
    background = truth.field_of_view & ~truth.vessels & ~truth.disc
    assert venous[truth.vessels].mean() > venous[background].mean() * 1.2
    green = photograph.image[..., 1].astype(float)
    assert green[truth.vessels & ~truth.disc].mean() < green[background].mean()


def test_the_view_does_not_depend_on_the_image_size(cohort):
    small, large = cohort[2].truth(size=64).disc, cohort[2].truth(size=256).disc
    rows, columns = (np.nonzero(large)[axis].mean() / 4 for axis in (0, 1))
    assert np.nonzero(small)[0].mean() == pytest.approx(rows, abs=1)
    assert np.nonzero(small)[1].mean() == pytest.approx(columns, abs=1)


def test_the_disc_lies_nasally(cohort):
    for eye in cohort[:4]:
        column = np.nonzero(eye.truth().disc)[1].mean() / SIZE
        assert (column > 0.5) == (eye.side == "right")


def test_other_modalities_are_grey_images(cohort):
    eye = cohort[0]
    for image in (eye.icg(), eye.red_free(), eye.autofluorescence(size=128)):
        assert image.dtype == np.uint8
        assert image.ndim == 2
        assert image.std() > 2


def test_labels_follow_the_disease():
    for disease in DISEASES:
        for eye in Cohort(11, 1, size=64, diseases=[disease]):
            labels = eye.labels
            assert labels.disease in (disease, "normal")
            assert (labels.severity == 0) == (labels.disease == "normal")
            assert (labels.dr_grade > 0) == (labels.disease == "diabetic_retinopathy")
            if labels.disease == "diabetic_retinopathy":
                assert labels.dr_grade == labels.severity
            if labels.disease in ("glaucoma", "normal"):
                assert (labels.glaucoma_stage > 0) == (labels.disease == "glaucoma")


def test_the_default_mixture_has_every_disease_and_grade():
    patients = [Cohort(1, 400).patient(number) for number in range(400)]
    worst = [max(zip(p.severities, p.diseases, strict=True)) for p in patients]
    shares = {name: np.mean([disease == name for _, disease in worst]) for name in DISEASES}
    assert shares["diabetic_retinopathy"] == pytest.approx(0.35, abs=0.07)
    assert shares["normal"] == pytest.approx(0.25, abs=0.07)
    assert min(shares.values()) > 0.03
    grades = [severity for severity, disease in worst if disease == "diabetic_retinopathy"]
    assert min(np.bincount(grades, minlength=5)[1:]) > 15
    ages = [patient.age for patient in patients]
    assert (min(ages) >= 20, max(ages) <= 90) == (True, True)
    assert {patient.camera_profile for patient in patients} == set(range(64))


@pytest.mark.parametrize("effect", [0.0, 0.5, 1.0])
def test_outcomes_have_the_stated_auroc_and_odds_ratio(effect):
    assert best_auroc(effect) == pytest.approx(norm.cdf(effect / np.sqrt(2)))
    draw = np.random.default_rng(0)
    drawn = [draw_outcomes(effect, draw) for _ in range(12_000)]
    for outcome in OUTCOMES.values():
        have = np.array([outcomes[outcome.name] for outcomes, _ in drawn])
        z = outcome.sign * np.array([shifts[outcome.quantity] for _, shifts in drawn])
        assert have.mean() == pytest.approx(PREVALENCE, abs=0.02)
        assert roc_auc_score(have, z) == pytest.approx(best_auroc(effect), abs=0.02)
        slope = LogisticRegression(C=np.inf).fit(z[:, None], have).coef_[0, 0]
        assert slope == pytest.approx(effect, abs=0.08)


def test_an_outcome_shifts_its_quantity_in_both_eyes_and_no_other():
    cohort = Cohort(5, 1500, diseases=["normal"])
    patients = [cohort.patient(number) for number in range(cohort.patients)]
    for outcome in OUTCOMES.values():
        have = [patient.outcomes[outcome.name] for patient in patients]
        for name in QUANTITIES:
            values = np.array([[eye[name] for eye in patient.values] for patient in patients])
            auroc = roc_auc_score(have, outcome.sign * values[:, 0])
            if name == outcome.quantity:
                assert (values[:, 0] == values[:, 1]).all()
                assert auroc == pytest.approx(best_auroc(), abs=0.04)
            else:
                assert auroc == pytest.approx(0.5, abs=0.07)
        assert roc_auc_score(have, [patient.age for patient in patients]) == pytest.approx(0.5, abs=0.07)


def test_splits_have_the_stated_shares_and_contain_every_disease():
    cohort = Cohort(2, 400)
    splits = draw_splits(cohort)
    diseases = [cohort.patient(number).diseases for number in range(cohort.patients)]
    assert {name: splits.count(name) for name in ("train", "val", "test")} == {"train": 220, "val": 60, "test": 120}
    for disease in DISEASES:
        affected = {split for split, of_patient in zip(splits, diseases, strict=True) if disease in of_patient}
        assert affected == {"train", "val", "test"}
    assert set(draw_splits(Cohort(2, 3))) == {"train", "val", "test"}
    assert draw_splits(Cohort(9, 400)) != splits


def test_the_message_lists_all_wrong_arguments():
    with pytest.raises(SettingsError) as caught:
        Cohort(-1, 0, size=32, diseases=["glaukoma"], effect=-1)
    for part in ("seed=-1", "patients=0", "size=32", "did you mean 'glaucoma'", "effect=-1"):
        assert part in str(caught.value)
    with pytest.raises(SettingsError, match="size=5000"):
        Cohort(1, 1)[0].photograph(size=5000)


def test_the_contact_sheet_has_one_row_per_eye():
    sheet = contact_sheet(Cohort(7, 6, size=64), eyes=3, tile=96)
    assert sheet.dtype == np.uint8
    assert sheet.shape == (20 + 3 * (96 + 26), 6 + 5 * (96 + 6) + 128 + 6, 3)
    assert len(contact_sheet(Cohort(7, 1, size=64), eyes=3, tile=64)) == 20 + 90
