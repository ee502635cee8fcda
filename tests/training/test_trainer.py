"""A training: the files of its run folder, validation, learning, arithmetic, and the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from f2vbench.cli.main import main
from f2vbench.config.parsing import build
from f2vbench.encoders.global_generator import roll_out
from f2vbench.encoders.loading import load_encoder
from f2vbench.errors import DataError
from f2vbench.loggers.tensorboard_backend import EVENTS
from f2vbench.training.export import EXPORT
from f2vbench.training.settings import TrainSettings
from tests.helpers.training import SIDE, logged_batches, logged_losses, run_training, video_data, video_settings


def test_a_training_writes_log_samples_checkpoint_and_generator(trained_video):
    folder = trained_video.folder
    files = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    assert {path.as_posix() for path in files if path.parts[0] != EVENTS} == {
        "settings.yaml",
        "log.jsonl",
        "checkpoint.pt",
        "samples/epoch-001.png",
        "samples/epoch-002.png",
        "samples/epoch-001.gif",
        "samples/epoch-002.gif",
        "generator.safetensors",
        "generator.json",
    }
    # Constant in the first epoch, and still at the start of the decay in the second.
    assert [line["rate"] for line in logged_batches(folder)] == [2e-4] * 6


def test_the_first_validation_video_is_written_with_true_beside_generated_frames(trained_video):
    gif = Image.open(trained_video.folder / "samples" / "epoch-002.gif")
    assert (gif.n_frames, gif.size) == (12, (2 * SIDE, SIDE))
    sample = video_data().validation[0]
    real = np.rint(255 * (sample.frames[:, 0].numpy() + 1) / 2)
    generator = trained_video.method.networks.average.module.eval()
    fake = 255 * (roll_out(generator, sample.photograph[None])[0].detach().numpy() + 1) / 2
    for number in range(12):
        gif.seek(number)
        frame = np.array(gif.convert("L"), float)
        assert np.abs(frame[:, :SIDE] - real[number]).max() <= 1
        assert np.abs(frame[:, SIDE:] - fake[number]).max() <= 1


def test_the_settings_file_of_a_run_folder_gives_the_same_settings(trained_video):
    text = (trained_video.folder / "settings.yaml").read_text()
    assert build(TrainSettings, yaml.safe_load(text)) == trained_video.settings


@pytest.mark.parametrize("model", ["fundus2fa", "pix2pixhd"])
def test_single_frame_models_take_one_step_for_each_video(tmp_path, model):
    trainer = run_training(video_settings(tmp_path, model=model, epochs=1, flat_epochs=1))
    fundus2fa_losses = {"gradient_variance", "pixel"} if model == "fundus2fa" else set()
    assert set(logged_losses(tmp_path)[0]) == {"gan", "discriminator", "feature_matching"} | fundus2fa_losses
    state = trainer.method.networks.optimisers["generator"].state
    assert {int(parameter_state["step"]) for parameter_state in state.values()} == {3}
    encoder = load_encoder(model, str(tmp_path / EXPORT))
    assert encoder.generate(torch.rand(1, 3, SIDE, SIDE)).shape == (1, 1, SIDE, SIDE)


def test_the_lesion_ablation_needs_lesion_masks(tmp_path):
    with pytest.raises(DataError, match=r"eye \d: has no lesion mask"):
        run_training(video_settings(tmp_path, ablation="lesion-mask"))


def test_the_pixel_loss_decreases(tmp_path):
    off = {"feature_matching": 0, "attention": 0, "nce_photograph": 0, "nce_truth": 0, "gradient_variance": 0}
    loss = {"gan": 0, "masked_discriminators": False, **off}
    settings = {"ngf": 4, "epochs": 4, "flat_epochs": 4, "learning_rate": 5e-3, "ema": 0.99, "validate_every": 4}
    run_training(video_settings(tmp_path, loss=loss, **settings), video_data(3, validation=1))
    pixel = [line["pixel"] for line in logged_losses(tmp_path)]
    assert np.mean(pixel[-3:]) < 0.5 * pixel[0]


def test_bf16_trains_float32_weights(tmp_path):
    settings = video_settings(tmp_path, windows=1, epochs=1, flat_epochs=1, validate_videos=1)
    trainer = run_training(settings, video_data(1), bf16=True)
    assert trainer.method.networks.generator[1].weight.dtype == torch.float32
    assert np.isfinite(list(logged_losses(tmp_path)[0].values())).all()


def test_the_command_line_trains_on_phantoms_and_prints_the_generator(tmp_path, capsys):
    arguments = ["preset=mini", "ngf=2", "ndf=2", "blocks=2", "eyes=2", "batch_size=2", "split=1/1/0", "epochs=1"]
    arguments += ["image_size=64", "crop=none"]
    assert main(["train", f"out={tmp_path}", "device=cpu", "model=pix2pixhd", *arguments]) == 0
    assert f"model=pix2pixhd:{tmp_path / EXPORT}" in capsys.readouterr().out
    assert json.loads((tmp_path / "generator.json").read_text())["data"]["data.train.eyes"] == 2
    assert main(["train", f"out={tmp_path}", "device=cpu", "model=fundus2fa", *arguments]) == 2
    assert "a training with other settings (model was pix2pixhd, is fundus2fa" in capsys.readouterr().err
