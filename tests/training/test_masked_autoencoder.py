"""The masked autoencoder: masks, patches, loss, network, and its training."""

from __future__ import annotations

import json
import math

import cv2
import numpy as np
import pytest
import torch

from f2vbench.encoders.mae import TransformerShape, position_embeddings, vision_transformer
from f2vbench.training.export import EXPORT
from f2vbench.training.masked_autoencoder import (
    MaskedAutoencoder,
    draw_visible_patches,
    reconstruction_errors,
    to_images,
    to_patches,
)
from f2vbench.training.trainer import Trainer
from tests.helpers.training import CPU, SIDE, logged_batches, mae_settings, photograph_data, run_training

SHAPE = TransformerShape(64, 2, 48)


def is_decoder_key(key: str) -> bool:
    return key.startswith("decoder_") or key == "mask_token"


# Masks, patches and loss


def test_a_quarter_of_the_patches_is_visible_and_depends_on_the_seed_alone():
    seeds = [(0, 3, 7, 1), (0, 3, 8, 1), (0, 4, 7, 1), (1, 3, 7, 1)]
    visible = draw_visible_patches(seeds, 196, 0.75)
    assert visible.shape == (4, 49)
    assert all(len(set(row)) == 49 and min(row) >= 0 and max(row) < 196 for row in visible.tolist())
    assert len({tuple(sorted(row)) for row in visible.tolist()}) == 4
    separately = torch.cat([draw_visible_patches([seed], 196, 0.75) for seed in seeds])
    assert torch.equal(visible, separately)


def test_patches_are_rows_of_pixels_of_channels_and_can_be_joined_again():
    images = torch.rand(2, 3, 48, 48)
    patches = to_patches(images)
    assert torch.equal(patches[1, 5].reshape(16, 16, 3), images[1, :, 16:32, 32:48].permute(1, 2, 0))
    assert torch.equal(to_images(patches), images)


def test_the_loss_equals_a_slow_loop_over_masked_patches():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(2, 3, 48, 48)).astype(np.float32)
    predicted = rng.normal(size=(2, 9, 768)).astype(np.float32)
    visible = np.array([[0, 4], [8, 3]])
    expected = []
    for image, prediction, visible_patches in zip(images, predicted, visible, strict=True):
        errors = []
        for patch in set(range(9)) - set(visible_patches.tolist()):
            row, column = 16 * (patch // 3), 16 * (patch % 3)
            pixels = image[:, row : row + 16, column : column + 16].transpose(1, 2, 0).astype(float).ravel()
            target = (pixels - pixels.mean()) / math.sqrt(pixels.var(ddof=1) + 1e-6)
            errors.append(np.mean((prediction[patch] - target) ** 2))
        expected.append(np.mean(errors))
    found = reconstruction_errors(*(torch.from_numpy(array) for array in (predicted, images, visible)))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


# Network


def test_masked_patches_have_no_influence_on_the_predictions():
    network = MaskedAutoencoder(SHAPE, 32, 1).eval()
    images, visible = torch.rand(1, 3, 48, 48), torch.tensor([[1, 6]])
    masked_changed, visible_changed = images.clone(), images.clone()
    masked_changed[..., :16, :16] = 5.0  # patch 0
    visible_changed[..., :16, 16:32] = 5.0  # patch 1
    with torch.no_grad():
        first, same, other = (network(each, visible) for each in (images, masked_changed, visible_changed))
    assert torch.equal(first, same)
    assert not torch.allclose(first[0, 8], other[0, 8])


def test_with_all_patches_visible_the_encoder_equals_timms_and_their_order_has_no_influence():
    network = MaskedAutoencoder(SHAPE, 32, 1).eval()
    encoder = vision_transformer(SHAPE).eval()
    encoder.load_state_dict({key: value for key, value in network.state_dict().items() if not is_decoder_key(key)})
    images, order = torch.rand(1, 3, 48, 48), torch.randperm(9)[None]
    encoded = []
    network.decoder_embed.register_forward_hook(lambda module, inputs, output: encoded.append(inputs[0]))
    with torch.no_grad():
        sorted_output, shuffled_output = network(images, torch.arange(9)[None]), network(images, order)
        torch.testing.assert_close(encoded[0], encoder.forward_features(images))
    torch.testing.assert_close(encoded[1][:, 1:], encoded[0][:, 1:][:, order[0]])
    torch.testing.assert_close(sorted_output, shuffled_output)


def test_position_embeddings_are_sines_and_cosines_of_column_then_row():
    found = position_embeddings(16, 3)
    assert found.shape == (1, 10, 16)
    assert not found[0, 0].any()
    row, column = 2, 1
    expected = [wave(at / 10000 ** (k / 4)) for at in (column, row) for wave in (math.sin, math.cos) for k in range(4)]
    np.testing.assert_allclose(found[0, 1 + 3 * row + column], expected, rtol=1e-6)


# Training


def test_a_training_writes_the_usual_files_and_pictures_of_masked_patches(trained_mae):
    folder = trained_mae.folder
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {
        "settings.yaml",
        "log.jsonl",
        "checkpoint.pt",
        "samples/epoch-001.png",
        "samples/epoch-002.png",
        "generator.safetensors",
        "generator.json",
    } <= files
    assert set(logged_batches(folder)[0]) == {"epoch", "videos", "rate", "reconstruction", "contrast"}
    picture = cv2.imread(str(folder / "samples" / "epoch-002.png"))
    assert picture.shape == (2 * SIDE, 3 * SIDE, 3)
    whole, masked, restored = (picture_patches(part) for part in np.split(picture.astype(int), 3, axis=1))
    is_masked = (masked == 128).all(axis=(1, 2, 3))
    assert is_masked.sum() == 2 * 12  # of 2 × 16 patches
    assert (masked[~is_masked] == whole[~is_masked]).all()
    assert (restored[~is_masked] == whole[~is_masked]).all()


def picture_patches(picture: np.ndarray) -> np.ndarray:
    rows, columns = picture.shape[0] // 16, picture.shape[1] // 16
    return picture.reshape(rows, 16, columns, 16, 3).swapaxes(1, 2).reshape(-1, 16, 16, 3)


def test_the_card_has_the_architecture_and_only_the_settings_in_use(trained_mae):
    card = json.loads((trained_mae.folder / "generator.json").read_text())
    assert card["architecture"] | {"width": 64, "depth": 2, "heads": 1, "patch": 16} == card["architecture"]
    assert not {"loss", "ngf", "crop"} & set(card["settings"])
    assert set(card["validation"]) == {"reconstruction"}
    assert card["bytes"] == (trained_mae.folder / EXPORT).stat().st_size


def test_the_reconstruction_loss_decreases(tmp_path):
    run_training(mae_settings(tmp_path, epochs=10, learning_rate=5e-3, validate_every=10), photograph_data(4))
    found = [line["reconstruction"] for line in logged_batches(tmp_path)]
    assert np.mean(found[-4:]) < 0.5 * np.mean(found[:4])


@pytest.mark.parametrize("option", ["checkpointing", "workers"])
def test_engineering_options_do_not_change_losses(trained_mae, tmp_path, option):
    run_training(mae_settings(tmp_path, **{option: True}))
    for found, expected in zip(logged_batches(tmp_path), logged_batches(trained_mae.folder), strict=True):
        assert found == pytest.approx(expected, rel=1e-4)


def test_bf16_trains_float32_weights(tmp_path):
    trainer = run_training(mae_settings(tmp_path, epochs=1, ema=0.9), bf16=True)
    assert trainer.method.networks.best.cls_token.dtype == torch.float32


def test_biases_norms_and_position_embeddings_have_no_weight_decay(tmp_path):
    networks = Trainer(mae_settings(tmp_path), photograph_data(), CPU).method.networks
    decaying, others = networks.optimisers["generator"].param_groups
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.05, 0.0)
    assert all(parameter.ndim > 1 for parameter in decaying["params"])
    assert all(parameter.ndim == 1 for parameter in others["params"])
    state = networks.best.state_dict()
    count = sum(len(group["params"]) for group in (decaying, others))
    assert count == len(state) - 2  # pos_embed and decoder_pos_embed are fixed
