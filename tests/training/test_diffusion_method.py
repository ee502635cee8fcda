"""Training of `med-ddpm`: noise, loss, gradients, resumption, and the exported weights."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from f2vbench.cli.main import main
from f2vbench.config.parsing import build
from f2vbench.encoders.diffusion import DiffusionShape, denoising_network, noise_schedule, sample_videos
from f2vbench.encoders.loading import build_encoder
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.samplers import Sampler
from f2vbench.errors import SettingsError
from f2vbench.pretrained.checkpoints import read_state_dict
from f2vbench.training.checkpoints import CHECKPOINT, load_checkpoint
from f2vbench.training.data.video_loader import VideoLoader
from f2vbench.training.diffusion_method import DiffusionMethod
from f2vbench.training.export import EXPORT
from f2vbench.training.repro_command import training_command
from f2vbench.training.settings import TrainSettings
from tests.helpers.training import (
    CPU,
    SIDE,
    Videos,
    diffusion_settings,
    logged_batches,
    run_training,
    train_batches,
    video_data,
)

pytest.importorskip("diffusers", reason="the extra f2vbench[diffusion] is not installed")


def batch_of(*indices: int):
    (batch,) = VideoLoader(Videos(4, simulated=True)).load([list(indices)])
    return batch


def corner(batch, side: int):
    """A batch of the upper left corners."""
    images = {name: getattr(batch, name)[..., :side, :side] for name in ("photograph", "frames", "fov_mask", "mask")}
    return replace(batch, **images)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, _one_thread):
    """A trainer of `diffusion_settings` after its last epoch."""
    return run_training(diffusion_settings(tmp_path_factory.mktemp("diffusion"), ema=0.9))


def test_the_schedule_is_the_squared_cosine_of_nichol_and_dhariwal():
    found = noise_schedule(250).alphas_cumprod

    def f(t: float) -> float:
        return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2

    betas = [min(1 - f((t + 1) / 250) / f(t / 250), 0.999) for t in range(250)]
    np.testing.assert_allclose(found, np.cumprod(1 - np.array(betas)), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("prediction", ["noise", "frames"])
def test_the_loss_is_the_mean_absolute_error_of_the_prediction_for_each_video(tmp_path, prediction):
    settings = diffusion_settings(tmp_path, seed=3, diffusion={"prediction": prediction})
    batch = batch_of(0, 2)
    network = denoising_network(DiffusionShape("2d", (8, 16), 1, 10), seed=3)
    kept = torch.cumprod(1 - noise_schedule(10).betas.double(), 0)
    errors = []
    for position, index in enumerate((0, 2)):
        stream = np.random.default_rng([3, 1, index, 2])
        step = int(stream.integers(10))
        noise = torch.from_numpy(stream.standard_normal((12, SIDE, SIDE), dtype=np.float32))
        noisy = kept[step].sqrt() * batch.frames[position] + (1 - kept[step]).sqrt() * noise
        with torch.no_grad():
            predicted = network(noisy[None].float(), batch.photograph[[position]], torch.tensor([step]))[0]
        target = noise if prediction == "noise" else batch.frames[position]
        errors.append((predicted - target).abs().mean().item())
    losses = DiffusionMethod(settings, CPU, bf16=False).train_step(batch, 1, 0, 0.0)
    assert losses[prediction] == pytest.approx(np.mean(errors), rel=1e-4)
    assert set(losses) == {prediction, "contrast"}


@pytest.mark.parametrize("network", ["2d", "3d"])
def test_the_gradient_is_that_of_finite_differences_in_float64(network):
    model = denoising_network(DiffusionShape(network, (8, 16), 1, 10)).double()
    batch, steps = corner(batch_of(1), 16), torch.tensor([4])
    frames, photograph = batch.frames.double(), batch.photograph.double()
    stream = torch.Generator().manual_seed(0)
    noise = torch.randn(frames.shape, generator=stream, dtype=torch.float64)
    noisy = noise_schedule(10).add_noise(frames, noise, steps)

    def loss() -> torch.Tensor:
        return (model(noisy, photograph, steps) - noise).abs().mean()

    parameters = list(model.parameters())
    gradients = torch.autograd.grad(loss(), parameters, allow_unused=True)
    for _ in range(2):
        direction = [torch.randn(p.shape, generator=stream, dtype=torch.float64) for p in parameters]
        slope = sum((g * d).sum() for g, d in zip(gradients, direction, strict=True) if g is not None)
        values = []
        with torch.no_grad():
            for sign in (1, -2, 1):
                for parameter, change in zip(parameters, direction, strict=True):
                    parameter += sign * 1e-7 * change
                values.append(loss())
        assert (values[0] - values[1]).item() / 2e-7 == pytest.approx(slope.item(), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("network", ["2d", "3d"])
def test_steps_on_one_batch_lower_its_loss(tmp_path, network):
    settings = diffusion_settings(tmp_path, learning_rate=5e-3, diffusion={"network": network})
    method, batch = DiffusionMethod(settings, CPU, bf16=False), corner(batch_of(0), 16)
    found = [method.train_step(batch, 0, 0, 0.0)["frames"] for _ in range(15)]
    assert found[-1] < 0.8 * found[0]


def test_checkpointing_changes_no_step(tmp_path):
    batch, weights = corner(batch_of(0), 16), []
    for checkpointing in (False, True):
        settings = diffusion_settings(tmp_path, checkpointing=checkpointing)
        method = DiffusionMethod(settings, CPU, bf16=False)
        assert method.networks.best.unet.is_gradient_checkpointing == checkpointing
        method.train_step(batch, 0, 0, 0.0)
        weights.append(method.networks.network_states()["generator"])
    for key, value in weights[0].items():
        torch.testing.assert_close(weights[1][key], value, msg=key)


@pytest.mark.parametrize("batches", [2, 4])
def test_a_killed_training_resumes_to_the_same_losses_and_weights(trained, tmp_path, batches):
    settings = diffusion_settings(tmp_path, ema=0.9, save_minutes=1e-9)
    train_batches(settings, video_data(), batches)
    run_training(settings)
    assert logged_batches(tmp_path) == logged_batches(trained.folder)
    found, expected = (load_checkpoint(folder / CHECKPOINT, CPU).networks for folder in (tmp_path, trained.folder))
    for network in ("generator", "average"):
        assert all(torch.equal(found[network][key], expected[network][key]) for key in expected[network])


def test_a_training_writes_the_usual_files(trained):
    folder = trained.folder
    card = json.loads((folder / "generator.json").read_text())
    assert card["architecture"] == {
        "name": "med-ddpm",
        "network": "2d",
        "channels": [8, 16],
        "layers": 1,
        "noise_steps": 10,
        "prediction": "frames",
        "image_size": SIDE,
        "sampler": "ddim-5",
    }
    assert card["weights"] == "moving average"
    assert set(card["validation"]) == {"psnr", "ssim"}
    assert not {"loss", "mae", "ngf", "crop", "windows"} & set(card["settings"])
    assert Image.open(folder / "samples" / "epoch-002.png").size == (13 * SIDE, 2 * SIDE)
    assert Image.open(folder / "samples" / "epoch-002.gif").n_frames == 12
    assert set(logged_batches(folder)[0]) == {"epoch", "videos", "rate", "frames", "contrast"}


def test_the_exported_network_generates_what_the_trained_one_does(trained):
    path = trained.folder / EXPORT
    best = trained.method.networks.best
    assert all(torch.equal(value, best.state_dict()[key]) for key, value in read_state_dict(path).items())
    encoder = build_encoder(parse_model(f"med-ddpm:{path}"))
    photograph = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    seeds = []
    sample = encoder.sample
    encoder.sample = lambda photographs, drawn: seeds.extend(drawn) or sample(photographs, drawn)
    found = encoder.generate(photograph)
    expected = sample_videos(best.eval(), 2 * photograph - 1, seeds, Sampler("ddim", 5), best.shape)
    torch.testing.assert_close(found, (expected + 1) / 2)


def test_weights_with_a_card_are_a_model_and_are_checked_without_diffusers_too(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("F2VBENCH_PATH", str(tmp_path))
    assert main(["weights", "make", str(trained.folder), "name=ddpm-tiny", f"out={tmp_path}"]) == 0
    assert parse_model("ddpm-tiny").sampler == parse_model("ddpm-tiny@ddim-5").sampler == "ddim-5"
    assert parse_model("ddpm-tiny@ddim-2").name == "ddpm-tiny@ddim-2"
    capsys.readouterr()
    assert main(["weights", "check", "ddpm-tiny"]) == 0
    assert "loads as med-ddpm" in capsys.readouterr().out
    monkeypatch.setattr("f2vbench.encoders.model_family.find_spec", lambda name: None)
    assert main(["weights", "check", "ddpm-tiny"]) == 0
    assert "not loaded, because loading it needs the package diffusers" in capsys.readouterr().out


def test_another_seed_gives_other_weights_and_a_training_leaves_the_global_random_state(tmp_path):
    batch = batch_of(0)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second, third = (
        DiffusionMethod(diffusion_settings(tmp_path, seed=seed), CPU, bf16=False) for seed in (0, 0, 1)
    )
    first.train_step(batch, 0, 0, 0.0)
    list(first.validate(batch))
    assert torch.equal(torch.get_rng_state(), before)
    weights = [method.networks.best.unet.conv_out.weight for method in (second, third)]
    assert not torch.equal(*weights)


def test_validation_scores_vessels_of_simulated_eyes_and_repeats(tmp_path):
    method = DiffusionMethod(diffusion_settings(tmp_path), CPU, bf16=False)
    once, again = (list(method.validate(batch_of(0, 1))) for _ in range(2))
    assert [video.scores() for video in once] == [video.scores() for video in again]
    assert set(once[0].scores()) == {"psnr", "ssim", "vessels"}
    assert once[0].fake.shape == (12, SIDE, SIDE)
    assert not np.array_equal(once[0].fake, once[1].fake)


def test_mini_has_less_than_10_megabytes_in_half_precision():
    values = build(TrainSettings, {"model": "med-ddpm", "preset": "mini"}).diffusion
    shape = DiffusionShape(values.network, tuple(values.channels), values.layers, values.noise_steps, values.prediction)
    assert shape == DiffusionShape()  # the shape of med-ddpm:untrained
    assert 2 * sum(parameter.numel() for parameter in denoising_network(shape).parameters()) < 8e6


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"loss": {"gan": 1}, "crop": 64, "ngf": 8}, r"model=med-ddpm does not use crop, loss\.gan, ngf"),
        ({"mae": {"depth": 2}}, r"model=med-ddpm does not use mae\.depth"),
        ({"windows": 3, "ablation": "none"}, "model=med-ddpm does not use ablation, windows"),
        ({"model": "mae", "diffusion": {"layers": 2}}, r"model=mae does not use diffusion\.layers"),
        ({"model": "fundus2video", "diffusion": {"layers": 2}}, r"model=fundus2video does not use diffusion\.layers"),
        ({"checkpointing": True, "diffusion": {"network": "3d"}}, "diffusion.network=2d alone; leave it out"),
        ({"preset": "paper"}, "preset=paper: model=med-ddpm has the presets f2v and mini"),
        ({"diffusion": {"channels": "8,12"}}, r"diffusion\.channels"),
        ({"diffusion": {"sampler": "euler-3"}}, r"diffusion\.sampler"),
        ({"diffusion": {"sampler": "ddim-30"}}, "steps of ddim must divide the 250 noise steps .* 25, 50, 125, 250"),
        ({"diffusion": {"sampler": "dpm-solver-300"}}, "diffusion.sampler=dpm-solver-300: the training has 250"),
        ({"image_size": 80, "diffusion": {"channels": "8,8,8,8,8,8"}}, "6 levels .* multiple of 32 pixels"),
        ({"data": "pairs.csv", "targets": "noise-free"}, "targets=noise-free needs what only the simulator knows"),
    ],
)
def test_invalid_settings_are_refused(values, message):
    with pytest.raises(SettingsError, match=message):
        build(TrainSettings, {"model": "med-ddpm", "preset": "mini", **values})


def test_the_command_of_a_training_gives_the_same_settings():
    settings = build(TrainSettings, {"model": "med-ddpm", "preset": "mini", "diffusion": {"channels": "8,16"}})
    assert settings.diffusion.channels == [8, 16]
    assert training_command(settings) == "f2vbench train model=med-ddpm preset=mini seed=0 diffusion.channels=8,16"
    assert build(TrainSettings, {"model": "med-ddpm", "data": "pairs.csv"}).targets == "acquired"
