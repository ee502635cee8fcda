"""Training of `seg2vid`: losses against slow references, gradients, resumption, and the exported weights."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from f2vbench.config.parsing import build
from f2vbench.encoders.flow_vae import FlowShape, GeneratedMotion, draw_codes, flow_autoencoder
from f2vbench.encoders.loading import build_encoder
from f2vbench.encoders.model_argument import parse_model
from f2vbench.errors import SettingsError
from f2vbench.pretrained.checkpoints import read_state_dict
from f2vbench.training.checkpoints import CHECKPOINT, load_checkpoint
from f2vbench.training.data.video_loader import VideoLoader
from f2vbench.training.export import EXPORT, export_checkpoint
from f2vbench.training.flow_losses import (
    consistency_loss,
    kl_divergence,
    occlusion_loss,
    similarity_loss,
    smoothness_loss,
)
from f2vbench.training.flow_method import FlowMethod
from f2vbench.training.losses import pixel_loss
from f2vbench.training.repro_command import training_command
from f2vbench.training.settings import TrainSettings
from tests.encoders.test_flow_vae import slow_warp
from tests.helpers.training import (
    CPU,
    SIDE,
    Videos,
    flow_settings,
    logged_batches,
    run_training,
    train_batches,
    video_data,
)


def batch_of(*indices: int):
    (batch,) = VideoLoader(Videos(4, simulated=True)).load([list(indices)])
    return batch


def corner(batch, side: int):
    """A batch of the upper left corners."""
    images = {name: getattr(batch, name)[..., :side, :side] for name in ("photograph", "frames", "fov_mask", "mask")}
    return replace(batch, **images)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, _one_thread):
    """A trainer of `flow_settings` after its last epoch."""
    return run_training(flow_settings(tmp_path_factory.mktemp("flow"), ema=0.9))


# Losses


def test_the_divergence_equals_that_of_torch_and_is_zero_for_a_standard_normal_distribution():
    mean, log_variance = torch.randn(3, 5, dtype=torch.float64), torch.randn(3, 5, dtype=torch.float64)
    expected = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, log_variance.exp().sqrt()), torch.distributions.Normal(0.0, 1.0)
    ).mean()
    torch.testing.assert_close(kl_divergence(mean, log_variance), expected)
    assert kl_divergence(torch.zeros(2, 5), torch.zeros(2, 5)) == 0


def test_smoothness_equals_a_slow_loop():
    flow = np.random.default_rng(0).normal(size=(2, 3, 2, 5, 4))
    across = [abs(f[r, c + 1] - f[r, c]) for f in flow.reshape(-1, 5, 4) for r in range(5) for c in range(3)]
    down = [abs(f[r + 1, c] - f[r, c]) for f in flow.reshape(-1, 5, 4) for r in range(4) for c in range(4)]
    assert smoothness_loss(torch.from_numpy(flow)).item() == pytest.approx(np.mean(across) + np.mean(down))


def random_motion(seed: int = 0) -> GeneratedMotion:
    rng = np.random.default_rng(seed)
    flows = [torch.from_numpy(rng.normal(size=(2, 12, 2, 6, 7)) * 2) for _ in range(2)]
    visible = [torch.from_numpy(rng.uniform(size=(2, 12, 6, 7))) for _ in range(2)]
    return GeneratedMotion(torch.zeros(2, 12, 6, 7), *flows, *visible)


def test_consistency_and_occlusion_equal_slow_loops():
    motion = random_motion()
    total = 0.0
    pairs = (
        (motion.forward.numpy(), motion.backward.numpy(), motion.visible_in_frame.numpy()),
        (motion.backward.numpy(), motion.forward.numpy(), motion.visible_in_photograph.numpy()),
    )
    for first, second, visible in pairs:
        distances = []
        for n in range(2):
            for t in range(12):
                for axis in range(2):
                    returned = first[n, t, axis] + slow_warp(second[n, t, axis], first[n, t])
                    distances.append(np.abs(returned) * visible[n, t])
        total += np.mean(distances)
    assert consistency_loss(motion).item() == pytest.approx(total)
    hidden = (1 - motion.visible_in_frame).mean() + (1 - motion.visible_in_photograph).mean()
    assert occlusion_loss(motion).item() == pytest.approx(hidden.item())


def test_opposite_constant_flows_are_consistent():
    forward = torch.zeros(1, 12, 2, 6, 7)
    forward[:, :, 0] = 2.0
    seen = torch.ones(1, 12, 6, 7)
    assert consistency_loss(GeneratedMotion(seen, forward, -forward, seen, seen)).item() == pytest.approx(0, abs=1e-6)


def test_similarity_equals_a_slow_loop_over_windows():
    rng = np.random.default_rng(0)
    fake, real = (rng.uniform(-1, 1, (1, 2, 6, 5)) for _ in range(2))
    terms = []
    for x, y in zip((fake[0] + 1) / 2, (real[0] + 1) / 2, strict=True):
        for row in range(4):
            for column in range(3):
                a, b = (image[row : row + 3, column : column + 3].ravel() for image in (x, y))
                covariance = np.mean(a * b) - a.mean() * b.mean()
                ssim = (2 * a.mean() * b.mean() + 1e-4) * (2 * covariance + 9e-4)
                ssim /= (a.mean() ** 2 + b.mean() ** 2 + 1e-4) * (a.var() + b.var() + 9e-4)
                terms.append(np.clip((1 - ssim) / 2, 0, 1))
    expected = 0.85 * np.mean(terms) + 0.15 * np.abs(fake - real).mean() / 2
    found = similarity_loss(torch.from_numpy(fake), torch.from_numpy(real))
    assert found.item() == pytest.approx(expected)
    assert similarity_loss(torch.from_numpy(real), torch.from_numpy(real)).item() == pytest.approx(0, abs=1e-9)


# Training


def test_the_losses_of_a_step_are_those_of_the_network_and_the_noise_of_each_video(tmp_path):
    batch = batch_of(0, 2)
    method = FlowMethod(flow_settings(tmp_path, seed=3), CPU, bf16=False)
    noise = np.stack([np.random.default_rng([3, 1, index, 3]).standard_normal(6, np.float32) for index in (0, 2)])
    network = flow_autoencoder(FlowShape(8, 6), seed=3)
    with torch.no_grad():
        motion, mean, log_variance = network(batch.photograph, batch.frames, torch.from_numpy(noise))
    losses = method.train_step(batch, 1, 0, 0.0)
    names = {"reconstruction", "similarity", "kl", "smoothness", "consistency", "occlusion", "contrast"}
    assert set(losses) == names
    expected = {
        "reconstruction": pixel_loss(motion.frames, batch.frames, batch.fov_mask),
        "similarity": similarity_loss(motion.frames, batch.frames),
        "kl": kl_divergence(mean, log_variance),
        "consistency": consistency_loss(motion),
    }
    for name, value in expected.items():
        assert losses[name] == pytest.approx(value.item(), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("videos", [1, 2])
def test_the_gradient_is_that_of_finite_differences_in_float64(videos):
    model = flow_autoencoder(FlowShape(8, 6)).double()
    batch = corner(batch_of(*range(videos)), 32)
    photograph, frames = batch.photograph.double(), batch.frames.double()
    stream = torch.Generator().manual_seed(0)
    noise = torch.randn(videos, 6, generator=stream, dtype=torch.float64)
    with torch.no_grad():
        model.flow_head.weight.normal_(0, 0.05, generator=stream)

    def loss() -> torch.Tensor:
        motion, mean, log_variance = model(photograph, frames, noise)
        difference = (motion.frames - frames).square().mean()
        flows = consistency_loss(motion) + smoothness_loss(motion.backward) + occlusion_loss(motion)
        return difference + 0.1 * flows + kl_divergence(mean, log_variance)

    parameters = list(model.parameters())
    gradients = torch.autograd.grad(loss(), parameters)
    direction = [torch.randn(p.shape, generator=stream, dtype=torch.float64) for p in parameters]
    slope = sum((g * d).sum() for g, d in zip(gradients, direction, strict=True))
    values = []
    with torch.no_grad():
        for sign in (1, -2):
            for parameter, change in zip(parameters, direction, strict=True):
                parameter += sign * 1e-6 * change
            values.append(loss())
    assert (values[0] - values[1]).item() / 2e-6 == pytest.approx(slope.item(), rel=1e-3, abs=1e-5)


def test_steps_on_one_batch_lower_its_reconstruction(tmp_path):
    method, batch = FlowMethod(flow_settings(tmp_path, learning_rate=5e-3), CPU, bf16=False), corner(batch_of(0, 1), 32)
    found = [method.train_step(batch, 0, 0, 0.0) for _ in range(20)]
    assert found[-1]["reconstruction"] < 0.7 * found[0]["reconstruction"]
    assert found[-1]["similarity"] < found[0]["similarity"]


@pytest.mark.parametrize("batches", [2, 4])
def test_a_killed_training_resumes_to_the_same_losses_and_weights(trained, tmp_path, batches):
    settings = flow_settings(tmp_path, ema=0.9, save_minutes=1e-9)
    train_batches(settings, video_data(), batches)
    run_training(settings)
    assert logged_batches(tmp_path) == logged_batches(trained.folder)
    found, expected = (load_checkpoint(folder / CHECKPOINT, CPU).networks for folder in (tmp_path, trained.folder))
    for network in ("generator", "average"):
        assert all(torch.equal(found[network][key], expected[network][key]) for key in expected[network])


def test_a_training_writes_the_usual_files(trained, tmp_path):
    folder = trained.folder
    card = json.loads((folder / "generator.json").read_text())
    assert card["architecture"] == {"name": "seg2vid", "width": 8, "latent": 6, "image_size": SIDE}
    assert set(card["validation"]) == {"psnr", "ssim"}
    assert not {"loss", "mae", "diffusion", "checkpointing", "crop"} & set(card["settings"])
    assert Image.open(folder / "samples" / "epoch-002.png").size == (13 * SIDE, 2 * SIDE)
    assert Image.open(folder / "samples" / "epoch-002.gif").n_frames == 12
    again = export_checkpoint(folder, tmp_path / "again.safetensors")
    assert again.read_bytes() == (folder / EXPORT).read_bytes()


def test_the_exported_network_generates_what_the_trained_one_does(trained):
    path = trained.folder / EXPORT
    best = trained.method.networks.best.eval()
    assert all(torch.equal(value, best.state_dict()[key]) for key, value in read_state_dict(path).items())
    encoder = build_encoder(parse_model(f"seg2vid:{path}"))
    photograph = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        expected = best.decode(photograph, draw_codes([11], 6, CPU)).frames
        found = encoder.sample(photograph, [11])
    torch.testing.assert_close(found, expected)


def test_validation_draws_latent_vectors_by_index_and_does_not_read_the_true_video(tmp_path):
    method = FlowMethod(flow_settings(tmp_path), CPU, bf16=False)
    batch = batch_of(0, 1)
    hidden = replace(batch, frames=torch.zeros_like(batch.frames))
    seen, unseen = (list(method.validate(each)) for each in (batch, hidden))
    assert all(np.array_equal(a.fake, b.fake) for a, b in zip(seen, unseen, strict=True))
    assert set(seen[0].scores()) == {"psnr", "ssim", "vessels"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"loss": {"gan": 1}, "crop": 64, "ngf": 8}, r"model=seg2vid does not use crop, loss\.gan, ngf"),
        ({"diffusion": {"layers": 2}}, r"model=seg2vid does not use diffusion\.layers"),
        ({"checkpointing": True}, "model=seg2vid does not use checkpointing"),
        ({"model": "med-ddpm", "seg2vid": {"width": 8}}, r"model=med-ddpm does not use seg2vid\.width"),
        ({"model": "truth", "seg2vid": {"width": 8}}, r"model=truth does not use seg2vid\.width"),
        ({"preset": "released"}, "preset=released: model=seg2vid has the presets f2v and mini"),
        ({"seg2vid": {"width": 12}}, r"seg2vid\.width"),
        ({"seg2vid": {"reconstruction": 0}}, r"seg2vid\.reconstruction"),
        ({"data": "pairs.csv", "targets": "noise-free"}, "targets=noise-free needs what only the simulator knows"),
    ],
)
def test_invalid_settings_are_refused(values, message):
    with pytest.raises(SettingsError, match=message):
        build(TrainSettings, {"model": "seg2vid", "preset": "mini", **values})


def test_mini_is_the_untrained_shape_and_its_command_gives_the_same_settings():
    settings = build(TrainSettings, {"model": "seg2vid", "preset": "mini", "seg2vid": {"kl": 0.2}})
    assert FlowShape(settings.seg2vid.width, settings.seg2vid.latent) == FlowShape()
    assert training_command(settings) == "f2vbench train model=seg2vid preset=mini seed=0 seg2vid.kl=0.2"
