"""The baseline `scratch` learns from one photograph, is reproducible, and does not change global state."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from f2vbench.heads.scratch_unet import ScratchUNet, score_scratch_unet, train_scratch_unet

SIZE = 192


@pytest.fixture(autouse=True)
def _one_thread():
    """Bits are reproducible with one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def synthetic_eye(seed: int, size: int = SIZE) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return photograph, vessels and field of view: a noisy disc with dark curves on a black background."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    field_of_view = np.hypot(rows - size / 2, columns - size / 2) < 0.47 * size
    vessels = np.zeros((size, size), np.uint8)
    along = np.arange(0, size, 4)
    for _ in range(10):
        course = rng.uniform(0, size) + 12 * np.sin(along / rng.uniform(15, 30)) + rng.uniform(-0.5, 0.5) * along
        points = np.stack([along, course] if rng.random() < 0.5 else [course, along], axis=-1).astype(np.int32)
        cv2.polylines(vessels, [points], False, 1, thickness=int(rng.integers(1, 5)))
    inside = vessels.astype(bool) & field_of_view
    shade = 0.7 + 0.5 * columns / size
    speckle = cv2.GaussianBlur(rng.normal(0, 30, (size, size)), (0, 0), 1.5)
    brightness = (120 * shade + speckle) * np.where(inside, 0.82, 1.0) + rng.normal(0, 4, (size, size))
    photograph = np.clip(brightness[..., None] * (1.4, 0.8, 0.4) * field_of_view[..., None], 0, 255)
    return photograph.astype(np.uint8), inside, field_of_view


def train(seed: int = 0, steps: int = 3, batch_size: int = 2, **options) -> ScratchUNet:
    """Train on synthetic eye 1."""
    photograph, vessels, field_of_view = synthetic_eye(1)
    parts = ([photograph], [vessels], [field_of_view])
    return train_scratch_unet(*parts, steps=steps, batch_size=batch_size, seed=seed, **options)


def weight_bytes(model: ScratchUNet) -> bytes:
    """Return all parameters and running statistics as bytes."""
    return b"".join(value.numpy().tobytes() for value in model.state_dict().values())


@pytest.fixture(scope="module")
def trained() -> ScratchUNet:
    """A network after 30 steps."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    model = train(steps=30, batch_size=4)
    torch.set_num_threads(threads)
    return model


def test_the_same_seed_gives_the_same_bytes():
    first = weight_bytes(train(seed=3))
    torch.manual_seed(99)
    np.random.seed(99)
    torch.rand(1000)
    train(seed=4)
    assert weight_bytes(train(seed=3)) == first


def test_another_seed_gives_other_weights():
    assert weight_bytes(train(seed=3, steps=1)) != weight_bytes(train(seed=4, steps=1))


def test_global_generators_do_not_change():
    torch.manual_seed(5)
    np.random.seed(5)
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    train(steps=1)
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)


def test_finds_the_vessels_of_a_new_photograph(trained):
    photograph, vessels, field_of_view = synthetic_eye(2)
    scores = score_scratch_unet(trained, photograph, field_of_view)[0]
    assert roc_auc_score(vessels[field_of_view], scores[field_of_view]) > 0.95


def test_brightness_and_colour_have_little_effect(trained):
    photograph, vessels, field_of_view = synthetic_eye(2)
    other = np.clip(photograph * np.array([0.7, 1.1, 1.3]) + 10 * field_of_view[..., None], 0, 255).astype(np.uint8)
    scores = score_scratch_unet(trained, other, field_of_view)[0]
    assert roc_auc_score(vessels[field_of_view], scores[field_of_view]) > 0.94


def test_the_rim_of_the_field_of_view_has_low_scores(trained):
    _, _, field_of_view = synthetic_eye(3)
    blank = np.where(field_of_view[..., None], np.uint8([168, 96, 48]), np.uint8(0))
    scores = score_scratch_unet(trained, blank, field_of_view)[0]
    rim = field_of_view & ~cv2.erode(field_of_view.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)
    assert scores[rim].max() < 0.5


@pytest.mark.parametrize("shape", [(97, 130), (33, 17), (16, 16)])
def test_scores_are_probabilities_at_the_resolution_of_the_photograph(trained, shape):
    photograph = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    field_of_view = np.ones(shape, bool)
    field_of_view[:3] = False
    scores = score_scratch_unet(trained, photograph, field_of_view)[0]
    assert scores.shape == shape
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    assert scores.min() >= 0
    assert scores.max() <= 1
    assert not scores[:3].any()


def test_the_callback_receives_each_step():
    calls = []
    train(steps=2, on_step=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 2), (2, 2)]


def test_photographs_can_have_different_sizes():
    eyes = [synthetic_eye(1), synthetic_eye(2, size=150)]
    photographs, vessels, fields_of_view = (list(part) for part in zip(*eyes, strict=True))
    model = train_scratch_unet(photographs, vessels, fields_of_view, steps=1, batch_size=4, seed=0)
    assert not model.training


def test_masks_that_do_not_match_are_errors():
    photograph, vessels, field_of_view = synthetic_eye(1)
    with pytest.raises(ValueError, match="1 photographs, 0 masks"):
        train_scratch_unet([photograph], [], [field_of_view], steps=1, batch_size=1, seed=0)
    with pytest.raises(ValueError, match="support photograph 0 has the size"):
        train_scratch_unet([photograph], [vessels[1:]], [field_of_view], steps=1, batch_size=1, seed=0)
    with pytest.raises(ValueError, match="empty field of view"):
        train_scratch_unet([photograph], [vessels], [np.zeros_like(field_of_view)], steps=1, batch_size=1, seed=0)


def test_each_class_has_an_output():
    photograph, vessels, field_of_view = synthetic_eye(1)
    masks = np.stack([vessels, ~vessels])
    model = train_scratch_unet([photograph], [masks], [field_of_view], steps=25, batch_size=4, seed=0)
    scores = score_scratch_unet(model, photograph, field_of_view)
    assert scores.shape == masks.shape
    for score, mask in zip(scores, masks, strict=True):
        assert roc_auc_score(mask[field_of_view], score[field_of_view]) > 0.75
