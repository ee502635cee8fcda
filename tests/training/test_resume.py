"""Checkpoints: a killed training resumes exactly, other trainings are refused, and files are never half-written."""

from __future__ import annotations

import copy

import pytest
import torch

from f2vbench.errors import StoreError
from f2vbench.training.checkpoints import (
    CHECKPOINT,
    Checkpoint,
    TrainingPosition,
    TrainingStatus,
    load_checkpoint,
    save_checkpoint,
)
from f2vbench.training.export import EXPORT
from f2vbench.training.methods import build_method
from f2vbench.training.trained_networks import match_memory_format
from tests.helpers.training import (
    CPU,
    logged_batches,
    mae_settings,
    photograph_data,
    run_training,
    train_batches,
    video_data,
    video_settings,
)


@pytest.mark.parametrize("batches", [2, 4])
def test_a_killed_training_resumes_to_the_same_losses_and_weights(trained_video, tmp_path, batches):
    settings = video_settings(tmp_path, save_minutes=1e-9)
    train_batches(settings, video_data(), batches)
    resumed = run_training(settings)
    assert logged_batches(tmp_path) == logged_batches(trained_video.folder)
    found, expected = (trainer.method.networks.network_states() for trainer in (resumed, trained_video))
    for network in expected:
        assert all(torch.equal(found[network][key], expected[network][key]) for key in expected[network])


@pytest.mark.parametrize("batches", [2, 4])
def test_a_killed_masked_autoencoder_resumes_to_the_same_losses_and_weights(trained_mae, tmp_path, batches):
    settings = mae_settings(tmp_path, save_minutes=1e-9)
    train_batches(settings, photograph_data(), batches)
    run_training(settings)
    assert logged_batches(tmp_path) == logged_batches(trained_mae.folder)
    found, expected = (
        load_checkpoint(folder / CHECKPOINT, CPU).networks["generator"] for folder in (tmp_path, trained_mae.folder)
    )
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_a_checkpoint_has_the_stored_keys_of_earlier_versions(trained_video):
    state = torch.load(trained_video.folder / CHECKPOINT, weights_only=True)
    assert set(state) == {"networks", "optimisers", "settings", "data", "place", "quality", "made_on"}
    assert set(state["networks"]) == {"generator", "discriminator", "heads", "average"}
    assert set(state["optimisers"]) == {"generator", "discriminator", "heads"}
    assert set(state["place"]) == {"epoch", "batch", "videos", "seconds", "completed"}
    assert state["settings"]["loss.nce_truth"] == 0.5


def test_a_finished_training_is_not_trained_again(trained_video):
    files = [trained_video.folder / name for name in (EXPORT, "generator.json", CHECKPOINT, "log.jsonl")]
    before = [path.read_bytes() for path in files]
    run_training(trained_video.settings)
    assert [path.read_bytes() for path in files] == before


def test_the_checkpoint_of_a_version_without_some_settings_is_refused_with_their_names(tmp_path):
    settings = video_settings(tmp_path, previous_dropped=0.5, time="plane", loss={"gradient": 1.0})
    networks = build_method(settings, CPU, bf16=False).networks
    new = ("previous_dropped", "time", "loss.gradient", "downsamplings")
    stored = {key: value for key, value in settings.identity().items() if key not in new}
    status = TrainingStatus(TrainingPosition(epoch=1, videos=3), {"training_videos": 3})
    states = networks.network_states(), networks.optimiser_states()
    save_checkpoint(tmp_path / CHECKPOINT, Checkpoint(stored, status, *states))
    with pytest.raises(StoreError) as raised:
        run_training(settings)
    for difference in ("downsamplings was None, is 4", "time was None, is plane", "loss.gradient was None, is 1.0"):
        assert difference in str(raised.value)
    assert "previous_dropped was None, is 0.5" in str(raised.value)


def test_a_folder_with_another_training_is_refused_with_the_keys_that_differ(trained_video):
    settings = video_settings(trained_video.folder, scales=1, learning_rate=1e-3)
    with pytest.raises(StoreError, match=r"scales was 2, is 1.*learning_rate was 0.0002, is 0.001"):
        run_training(settings)


def test_other_data_is_refused(trained_video):
    with pytest.raises(StoreError, match="training_videos was 3, is 4"):
        run_training(trained_video.settings, video_data(4))


def test_a_damaged_checkpoint_is_named(tmp_path):
    (tmp_path / CHECKPOINT).write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(StoreError, match=r"checkpoint\.pt: not a checkpoint of a training, or damaged"):
        run_training(video_settings(tmp_path))


def test_a_full_disk_keeps_the_previous_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / CHECKPOINT
    first, second = (
        Checkpoint({}, TrainingStatus(TrainingPosition(epoch=epoch), {}), networks={}, optimisers={})
        for epoch in (0, 1)
    )
    save_checkpoint(path, first)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        save_checkpoint(path, second)
    assert load_checkpoint(path, CPU) == first
    assert [file.name for file in tmp_path.iterdir()] == [CHECKPOINT]


def test_a_fused_optimiser_continues_exactly_with_moments_of_another_memory_format():
    def make(memory_format: torch.memory_format) -> tuple[torch.nn.Parameter, torch.optim.AdamW]:
        values = torch.arange(24.0).reshape(2, 3, 2, 2).contiguous(memory_format=memory_format)
        parameter = torch.nn.Parameter(values)
        return parameter, torch.optim.AdamW([parameter], 0.1, fused=True)

    def step(parameter: torch.nn.Parameter, optimiser: torch.optim.AdamW, seed: int) -> None:
        gradient = torch.rand(2, 3, 2, 2, generator=torch.Generator().manual_seed(seed))
        parameter.grad = torch.empty_like(parameter).copy_(gradient)
        optimiser.step()

    whole, optimiser = make(torch.contiguous_format)
    step(whole, optimiser, 0)
    resumed, loaded = make(torch.channels_last)
    resumed.data.copy_(whole.data)
    loaded.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    match_memory_format(loaded)
    for seed in (1, 2, 3):
        step(whole, optimiser, seed)
        step(resumed, loaded, seed)
    assert torch.equal(whole, resumed)


@pytest.mark.parametrize("model", ["fundus2video", "fundus2fa", "pix2pixhd"])
def test_no_trained_network_has_group_norm_which_loses_precision_in_channels_last_order(tmp_path, model):
    networks = build_method(video_settings(tmp_path, model=model), CPU, bf16=False).networks
    layers = [layer for network in networks._networks.values() for layer in network.modules()]
    assert layers
    assert not any(isinstance(layer, torch.nn.GroupNorm) for layer in layers)
