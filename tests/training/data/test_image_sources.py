"""Simulated eyes, and photographs without frames."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch

from f2vbench.phantom import Cohort
from f2vbench.phantom.cohort import CohortEye
from f2vbench.training.data.augmentation import AUGMENTATIONS
from f2vbench.training.data.dataset import open_dataset
from f2vbench.training.data.image_sources import SelectedPhantom
from f2vbench.training.data.options import ImageOptions, SamplingOptions, SimulationOptions, SplitShares
from f2vbench.training.data.registered_eye import crop_to_square
from tests.helpers.case_files import grey_levels, open_plain

PHOTOGRAPHS = SamplingOptions(frames=0)


def test_training_eyes_change_with_epoch_and_seed_and_the_others_never():
    simulation = {"shares": SplitShares(0.4, 0.4), "simulation": SimulationOptions(eyes=3)}
    opened = open_plain("phantom", size=64, **simulation)
    other = open_plain("phantom", size=64, seed=1, **simulation)
    assert (len(opened.train), len(opened.validation), len(opened.test)) == (3, 1, 1)
    names = [opened.train[0].case]
    validation = opened.validation[0]
    opened.set_epoch(1)
    names += [opened.train[0].case, other.train[0].case, validation.case, opened.test[0].case]
    assert len(set(names)) == 5
    assert torch.equal(opened.validation[0].frames, validation.frames)
    assert torch.equal(other.validation[0].frames, validation.frames)
    assert validation.frames.shape == (12, 1, 64, 64)
    assert validation.lesion_mask is not None
    assert validation.fov_mask.float().mean() > 0.6


def test_eyes_that_stay_for_several_epochs_are_simulated_once_and_have_new_views(monkeypatch):
    images = ImageOptions(64, augmentation=AUGMENTATIONS["f2v"])
    opened = open_dataset("phantom", images, simulation=SimulationOptions(eyes=1, renew=2))
    simulated = []
    load = SelectedPhantom.load
    monkeypatch.setattr(SelectedPhantom, "load", lambda phantom: simulated.append(phantom.name) or load(phantom))
    samples = []
    for epoch in range(3):
        opened.set_epoch(epoch)
        samples.append(opened.train[0])
    assert samples[0].case == samples[1].case != samples[2].case
    assert not torch.equal(samples[0].frames, samples[1].frames)
    assert simulated == [samples[0].case, samples[2].case]


def test_a_simulated_sample_is_the_eye_of_its_cohort():
    sample = open_plain("phantom", size=64, seed=5, simulation=SimulationOptions(eyes=1)).train[0]
    _, seed, name = sample.case.split("-")
    eye = next(eye for eye in Cohort(int(seed), 1, size=64) if eye.name == name)
    photograph, frames = eye.photograph(), eye.angiogram().frames
    lesions = np.zeros((64, 64), bool)
    for mask in photograph.truth.lesions.values():
        lesions |= mask
    expected = crop_to_square(photograph.image, frames, photograph.truth.field_of_view, 64, lesions)
    assert grey_levels(sample) == expected.frames[:, 32, 32].tolist()
    assert (sample.lesion_mask.numpy()[0] == expected.lesion_mask).all()


def test_simulated_photographs_have_no_frames_and_are_whole_in_validation(monkeypatch):
    monkeypatch.setattr(CohortEye, "angiogram", lambda *_: pytest.fail("frames were simulated"))
    images = ImageOptions(64, augmentation=AUGMENTATIONS["mae"])
    opened = open_dataset("phantom", images, sampling=PHOTOGRAPHS, simulation=SimulationOptions(eyes=2))
    train, validation = opened.train[0], opened.validation[0]
    assert train.photograph.shape == validation.photograph.shape == (3, 64, 64)
    assert train.frames.shape == (0, 1, 64, 64)
    _, seed, name = validation.case.split("-")
    eye = next(eye for eye in Cohort(int(seed), 1, size=512) if eye.name == name)
    field_of_view = eye.photograph().truth.field_of_view
    box = cv2.boundingRect(field_of_view.astype(np.uint8))
    side = max(box[2:])
    assert min(box[2:]) == side or min(box[2:]) > 0.7 * side
    assert validation.fov_mask.float().mean() == pytest.approx(field_of_view.sum() / side**2, abs=0.03)


def test_photographs_of_a_folder_of_cases_are_read_without_their_frames(tmp_path):
    rows, columns = np.mgrid[:60, :80]
    fov_mask = np.hypot(rows - 30, columns - 40) < 25
    for number in range(3):
        folder = tmp_path / "cases" / f"eye{number}"
        (folder / "frames").mkdir(parents=True)
        colours = np.array([50, 100 + number, 200], np.uint8)  # BGR, as OpenCV writes it
        cv2.imwrite(str(folder / "photograph.png"), fov_mask[..., None] * colours)
        (folder / "frames" / "1.png").write_bytes(b"damaged, and one frame is too few for an angiogram")
    options = {"sampling": PHOTOGRAPHS, "shares": SplitShares(0.34, 0)}
    opened = open_plain(tmp_path / "cases", **options)
    assert len(opened.train) + len(opened.validation) == 3
    sample = opened.validation[0]
    assert sample.frames.shape == (0, 1, 32, 32)
    assert sample.photograph[0, 16, 16] == pytest.approx(2 * 200 / 255 - 1)
    assert sample.fov_mask.float().mean() == pytest.approx(math.pi / 4, abs=0.03)  # the field of view fills the square
    (tmp_path / "cases" / "eye0" / "frames" / "1.png").write_bytes(b"another frame")
    assert open_plain(tmp_path / "cases", **options).identity() == opened.identity()
