"""Training on what the simulator knows (`model=truth`): its files, learning, resumption, scores and refused data."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score

from f2vbench.encoders.global_generator import global_generator
from f2vbench.encoders.model_family import GeneratorShape
from f2vbench.errors import DataError
from f2vbench.phantom.truth_classes import TRUTH_CLASSES
from f2vbench.training.data.video_loader import VideoLoader
from f2vbench.training.export import EXPORT
from f2vbench.training.losses import truth_loss
from f2vbench.training.truth_method import PredictedTruth, TruthMethod
from tests.helpers.training import (
    CPU,
    SIDE,
    assert_same_gradients,
    logged_batches,
    logged_losses,
    run_training,
    train_batches,
    video_data,
    video_settings,
)

SHAPE = {"ngf": 4, "downsamplings": 2, "blocks": 1, "skips": "additive", "time": "none"}


def truth_settings(folder, **changes):
    values = {"model": "truth", "ema": 0.9, "learning_rate": 2e-3, **SHAPE}
    return video_settings(folder, **{**values, **changes})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A trainer of `truth_settings` after its last epoch."""
    return run_training(truth_settings(tmp_path_factory.mktemp("truth")), video_data(simulated=True))


def test_a_training_writes_the_network_with_its_architecture_and_the_usual_files(trained):
    folder = trained.folder
    card = json.loads((folder / "generator.json").read_text())
    shape = {"inputs": 3, "outputs": len(TRUTH_CLASSES), "classes": 0, **SHAPE}
    assert card["architecture"] == {"name": "pix2pixhd-global", **shape}
    assert (card["model"], card["completed"], card["epochs"]) == ("truth", True, 2)
    assert set(card["validation"]) == {"vessels"}
    generator = global_generator(GeneratorShape(**shape))
    state = {key.removeprefix("model."): value for key, value in load_file(folder / EXPORT).items()}
    generator.load_state_dict(state)
    x = torch.rand(1, 3, SIDE, SIDE)
    torch.testing.assert_close(generator(x), trained.method.networks.best(x))
    assert set(logged_losses(folder)[0]) == {"truth"}
    assert Image.open(folder / "samples" / "epoch-002.png").size == (3 * SIDE, SIDE)
    assert not list(folder.rglob("*.gif"))  # there is no video


def test_a_killed_training_resumes_to_the_same_losses_and_weights(trained, tmp_path):
    settings, data = truth_settings(tmp_path, save_minutes=1e-9), video_data(simulated=True)
    train_batches(settings, data, 4)
    resumed = run_training(settings, data)
    assert logged_batches(tmp_path) == logged_batches(trained.folder)
    found, expected = (trainer.method.networks.network_states()["average"] for trainer in (resumed, trained))
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_the_loss_decreases_and_vessels_are_found(tmp_path):
    changes = {"epochs": 30, "flat_epochs": 30, "learning_rate": 1e-2, "ema": 0.0, "validate_every": 30, "samples": 0}
    run_training(truth_settings(tmp_path, **changes), video_data(3, validation=2, simulated=True))
    found = [line["truth"] for line in logged_losses(tmp_path)]
    assert np.mean(found[-6:]) < 0.5 * found[0]
    assert json.loads((tmp_path / "generator.json").read_text())["validation"]["vessels"] > 0.9


def test_the_step_has_the_gradient_of_the_cross_entropy_of_the_probabilities(tmp_path):
    settings = truth_settings(tmp_path, loss={"truth": 0.7})
    (batch,) = VideoLoader(video_data(2, simulated=True).train).load([[0, 1]])
    trained, plain = (TruthMethod(settings, CPU, bf16=False) for _ in range(2))
    found = trained.train_step(batch, 0, 0, 0.0)
    probabilities = (plain.networks.generator(batch.photograph) + 1) / 2
    loss = truth_loss(torch.logit(probabilities.double()), batch.truth.double(), batch.fov_mask)
    assert found["truth"] == pytest.approx(float(loss.detach()), rel=1e-4)
    assert found["contrast"] == pytest.approx(2 * float(probabilities.detach().std()), rel=1e-3)
    (0.7 * loss).backward()
    gradients = ([p.grad for p in method.networks.generator.parameters()] for method in (trained, plain))
    assert_same_gradients(*gradients)


def test_the_score_is_the_auroc_of_the_larger_probability_of_artery_and_vein_inside_the_field_of_view():
    rng = np.random.default_rng(0)
    real = (rng.random((len(TRUTH_CLASSES), 9, 11)) < 0.3).astype(np.float32)
    predicted = rng.random(real.shape).astype(np.float32)
    fov_mask = rng.random((9, 11)) < 0.8
    result = PredictedTruth(rng.random((9, 11, 3)).astype(np.float32), real, predicted, fov_mask)
    vessels, score = real[:2].any(axis=0), predicted[:2].max(axis=0)
    expected = roc_auc_score(vessels[fov_mask], score[fov_mask])
    assert result.scores()["vessels"] == pytest.approx(expected, abs=1e-3)
    no_vessels = PredictedTruth(result.photograph, real * 0, predicted, fov_mask)
    assert no_vessels.scores() == {}
    strip = result.strip()
    assert strip.shape == (9, 33, 3)
    lesions = real[4:].max(axis=0)
    np.testing.assert_array_equal(strip[:, 11:22], 255 * np.stack([real[0], lesions, real[1]], 2))


def test_images_without_the_truth_of_a_simulator_are_refused_by_name(tmp_path):
    with pytest.raises(DataError, match=r"eye \d: has no truth of a simulator, .* use data=phantom"):
        run_training(truth_settings(tmp_path))
