"""Decoders on feature maps and the scratch network learn vessels, and training is reproducible."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from f2vbench.adapters.trained_segmenters import DecoderSegmenter, ScratchSegmenter
from f2vbench.config.parsing import build as build_settings
from f2vbench.config.run import RunSettings
from f2vbench.data.photographs import Photograph
from f2vbench.encoders.loading import build
from f2vbench.encoders.model_argument import parse_model
from f2vbench.runner.extraction import encode_squares
from tests.helpers.eyes import eye

CPU = torch.device("cpu")
SIZE = 64


def photograph(seed: int, side: int = 96) -> Photograph:
    rgb, vessels, fov = eye(seed, side)
    return Photograph(f"eye{seed}", rgb, fov, f"content {seed}", vessels)


def settings(**values) -> RunSettings:
    return build_settings(RunSettings, {"task": "folder", "image_size": SIZE, **values})


@pytest.fixture(scope="module")
def encoder():
    return build(parse_model("timm:test_resnet:untrained")).requires_grad_(False)


@pytest.fixture(scope="module")
def stored_maps(encoder):
    """Feature maps as the feature store returns them."""

    def read(photo: Photograph) -> list[np.ndarray]:
        arrays = encode_squares(encoder, "pyramid", photo.square(SIZE)[None], CPU, "float32")[0]
        return [array.astype(np.float16) for array in arrays.values()]

    return read


def test_crops_of_stored_maps_show_the_same_region_as_their_targets(encoder, stored_maps):
    batch_settings = settings(augment="none", batch_size=3, decoder={"crop": 32})
    segmenter = DecoderSegmenter(encoder, stored_maps, batch_settings, CPU)
    photo = photograph(1)
    pyramid, target, valid = segmenter.pooled_batches([photo], np.random.default_rng(0))()
    vessels, inside = photo.square_targets(SIZE)
    for row in range(3):
        corners = [
            (top, left)
            for top in range(0, SIZE - 31, 32)
            for left in range(0, SIZE - 31, 32)
            if np.array_equal(vessels[top : top + 32, left : left + 32], target[row, 0].numpy())
            and np.array_equal(inside[top : top + 32, left : left + 32], valid[row, 0].numpy())
        ]
        assert len(corners) == 1
        top, left = corners[0]
        for level, stride in enumerate(encoder.strides):
            whole = stored_maps(photo)[level]
            crop = whole[:, top // stride : (top + 32) // stride, left // stride : (left + 32) // stride]
            np.testing.assert_array_equal(pyramid[level][row].numpy(), crop.astype(np.float32))


@pytest.mark.parametrize(
    "values",
    [
        {"augment": "none"},
        {"augment": "pool"},
        {"augment": "live"},
        {"augment": "live", "finetune": "full", "decoder": {"crop": 32, "encoder_learning_rate": 1e-3}},
    ],
    ids=["stored maps", "pool of views", "live augmentation", "fine-tuning"],
)
def test_a_decoder_learns_vessels_from_two_photographs(encoder, stored_maps, values):
    before = encoder.state_sha256()
    base = {"steps": 40, "batch_size": 6, "decoder": {"crop": 32, "learning_rate": 5e-3}}
    segmenter = DecoderSegmenter(encoder, stored_maps, settings(**(base | values)), CPU)
    assert segmenter.fit([photograph(1), photograph(2)], seed=3).steps == 40
    test_photo = photograph(9)
    scores = segmenter.score(test_photo).restored()
    assert scores.shape == test_photo.fov.shape
    assert 0 <= scores.min() <= scores.max() <= 1
    assert roc_auc_score(test_photo.vessels[test_photo.fov], scores[test_photo.fov]) > 0.85
    assert encoder.state_sha256() == before, "the encoder has changed"


def live_scores(encoder, stored_maps, seed: int, precision: str = "float32") -> np.ndarray:
    """Scores of a decoder after three steps on augmented crops."""
    few_steps = settings(steps=3, augment="live", batch_size=2, decoder={"crop": SIZE})
    segmenter = DecoderSegmenter(encoder, stored_maps, few_steps, CPU, precision)
    segmenter.fit([photograph(1)], seed=seed)
    return segmenter.score(photograph(2)).values


def test_training_is_reproducible_to_the_last_bit(encoder, stored_maps):
    scores = []
    for global_seed in (0, 99):
        torch.manual_seed(global_seed)
        np.random.seed(global_seed)
        scores.append(live_scores(encoder, stored_maps, seed=5))
    np.testing.assert_array_equal(*scores)
    assert not np.array_equal(live_scores(encoder, stored_maps, seed=6), scores[0])


def test_half_precision_of_the_encoder_changes_scores_only_a_little(encoder, stored_maps):
    full = live_scores(encoder, stored_maps, seed=5)
    half = live_scores(encoder, stored_maps, seed=5, precision="bf16")
    assert not np.array_equal(full, half)
    np.testing.assert_allclose(full, half, atol=0.1)


def test_the_scratch_segmenter_scores_at_the_resolution_of_the_photograph():
    segmenter = ScratchSegmenter(settings(image_size=512, scratch={"steps": 2, "batch_size": 2}), CPU)
    assert segmenter.fit([photograph(1)], seed=0).steps == 2
    assert segmenter.score(photograph(2)).restored().shape == (96, 96)
