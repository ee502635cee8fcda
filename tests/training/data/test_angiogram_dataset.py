"""Views of eyes: crops, colours, magnification, and their dependence on seed, epoch and index alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from f2vbench.training.data.angiogram_dataset import LateCrop
from f2vbench.training.data.augmentation import AUGMENTATIONS
from f2vbench.training.data.dataset import DatasetSplits, open_dataset
from f2vbench.training.data.options import ImageOptions, SimulationOptions, SplitShares
from tests.helpers.case_files import CaseTable, open_plain, six_patients

AUGMENTED = ImageOptions(32, augmentation=AUGMENTATIONS["f2v"])


@pytest.fixture
def table(tmp_path) -> CaseTable:
    return six_patients(tmp_path / "data")


def open_phantoms(**images) -> DatasetSplits:
    """One simulated training eye and one for validation, without augmentation."""
    options = ImageOptions(64, augmentation=AUGMENTATIONS["none"], **images)
    return open_dataset("phantom", options, shares=SplitShares(0.5, 0), simulation=SimulationOptions(eyes=1))


@pytest.fixture(scope="module")
def plain() -> DatasetSplits:
    return open_phantoms()


@pytest.fixture(scope="module")
def enlarged() -> DatasetSplits:
    return open_phantoms(enlarge=2, crop=32, late_crop=LateCrop(epoch=1, side=64))


def test_only_training_samples_are_cropped(table):
    images = ImageOptions(32, crop=16, augmentation=AUGMENTATIONS["none"])
    opened = open_dataset(table.write(), images)
    assert opened.train[0].frames.shape == (12, 1, 16, 16)
    assert opened.train[0].photograph.shape == (3, 16, 16)
    assert opened.test[0].frames.shape == (12, 1, 32, 32)


def test_colour_changes_affect_the_photograph_alone_and_stay_in_range(table):
    path = table.write()
    unchanged = open_plain(path).train[0]
    colours = replace(AUGMENTATIONS["f2v"], flip=0.0, rotation=0.0, zoom=(1.0, 1.0))
    changed = open_dataset(path, replace(AUGMENTED, augmentation=colours)).train[0]
    assert torch.equal(unchanged.frames, changed.frames)
    assert (unchanged.photograph - changed.photograph).abs().max() > 0.02
    assert changed.photograph.min() == -1
    assert changed.photograph.max() <= 1
    assert (changed.photograph[:, ~changed.fov_mask[0]] == -1).all()


def test_samples_depend_on_seed_epoch_and_index_alone(table):
    path = table.write()
    first, second = (open_dataset(path, AUGMENTED) for _ in range(2))
    forwards = [first.train[index] for index in range(len(first.train))]
    backwards = [second.train[index] for index in reversed(range(len(second.train)))][::-1]
    assert all(torch.equal(a.photograph, b.photograph) for a, b in zip(forwards, backwards, strict=True))
    assert all(torch.equal(a.frames, b.frames) for a, b in zip(forwards, backwards, strict=True))
    second.set_epoch(1)
    assert not torch.equal(second.train[0].frames, forwards[0].frames)
    second.set_epoch(0)
    assert torch.equal(second.train[0].frames, forwards[0].frames)


def test_loader_processes_give_the_same_samples_and_receive_the_epoch(table):
    opened = open_dataset(table.write(), AUGMENTED, shares=SplitShares(0, 0))
    loader = DataLoader(opened.train, batch_size=3, num_workers=2, persistent_workers=True, collate_fn=list)
    for epoch in (0, 1):
        opened.set_epoch(epoch)
        loaded = [sample.photograph for batch in loader for sample in batch]
        assert torch.equal(torch.stack(loaded), torch.stack([opened.train[index].photograph for index in range(6)]))


def test_enlarged_squares_have_the_same_eye_at_twice_the_size(plain, enlarged):
    small, large = plain.validation[0], enlarged.validation[0]
    assert large.frames.shape == (12, 1, 128, 128)
    assert large.photograph.shape == (3, 128, 128)
    reduced = torch.nn.functional.avg_pool2d(large.frames[:, 0], 2)
    assert np.corrcoef(reduced.flatten(), small.frames.flatten())[0, 1] > 0.98


def test_crops_are_larger_in_the_late_epochs(enlarged):
    assert enlarged.train[0].photograph.shape == (3, 32, 32)
    enlarged.set_epoch(1)
    assert enlarged.train[0].photograph.shape == (3, 64, 64)
    enlarged.set_epoch(0)


def test_shading_corrected_photographs_are_grey_outside_and_even_inside(plain):
    sample, corrected = plain.validation[0], open_phantoms(shading_correction=True).validation[0]
    assert torch.equal(sample.frames, corrected.frames)
    outside = ~corrected.fov_mask.expand(3, -1, -1)
    assert (sample.photograph[outside] == -1).all()
    assert corrected.photograph[outside].abs().max() < 0.01
    assert abs(float(corrected.photograph[~outside].mean())) < 0.1
