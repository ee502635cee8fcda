"""Two processes train as one process with the same batches."""

from __future__ import annotations

import json

import pytest
import torch

from f2vbench.training.export import EXPORT
from tests.helpers.training import (
    assert_same_gradients,
    gradients,
    logged_batches,
    mae_settings,
    run_training,
    train_in_two_processes,
    video_data,
    video_settings,
)


def two_videos_a_step(folder, model):
    """One step of a single-frame model, or three of Fundus2Video."""
    return video_settings(folder, model=model, batch_size=2, epochs=1, flat_epochs=1)


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """The folder of trainings of all models in two processes, which start once."""
    folder = tmp_path_factory.mktemp("two")
    trainings = {model: two_videos_a_step(folder / model, model) for model in ("fundus2video", "fundus2fa")}
    budget = video_settings(folder / "minutes", model="fundus2fa", batch_size=2, minutes=8 / 60, samples=0)
    train_in_two_processes({**trainings, "mae": mae_settings(folder / "mae"), "minutes": budget}, folder)
    return folder


@pytest.mark.parametrize("model", ["fundus2video", "fundus2fa"])
def test_generators_have_the_losses_and_gradients_of_one_process(two_processes, tmp_path, model):
    alone = run_training(two_videos_a_step(tmp_path, model), video_data(2))
    (found,), (expected,) = logged_batches(two_processes / model), logged_batches(tmp_path)
    assert found == pytest.approx(expected, rel=1e-4 if model == "fundus2fa" else 5e-2)
    if model == "fundus2fa":  # one step for each video, so that no rounding is amplified by earlier steps
        assert_same_gradients(torch.load(two_processes / f"gradients-{model}.pt"), gradients(alone))


def test_processes_with_a_wall_clock_budget_have_one_clock_and_stop_at_the_same_batch(two_processes):
    first, second = (json.loads((two_processes / f"position-minutes-{number}.json").read_text()) for number in (0, 1))
    assert first["completed"]
    assert (first["epoch"], first["batch"]) == (second["epoch"], second["batch"])
    assert first["videos"] == second["videos"] == 2 * len(logged_batches(two_processes / "minutes"))
    assert first["seconds"] == second["seconds"] < 8
    assert (two_processes / "minutes" / EXPORT).is_file()


def test_masked_autoencoders_have_the_losses_of_one_process(two_processes, trained_mae):
    for found, expected in zip(logged_batches(two_processes / "mae"), logged_batches(trained_mae.folder), strict=True):
        del found["contrast"], expected["contrast"]
        assert found == pytest.approx(expected, rel=1e-4)
