"""Fixtures of the training tests: one thread, and finished trainings that tests only read."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.training import mae_settings, run_training, video_settings


@pytest.fixture(autouse=True, scope="package")
def _one_thread():
    """Compute with one thread, as `f2vbench train`, because more threads sum in another order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="package")
def trained_video(tmp_path_factory, _one_thread):
    """A trainer of `video_settings` after its last epoch."""
    return run_training(video_settings(tmp_path_factory.mktemp("video")))


@pytest.fixture(scope="package")
def trained_mae(tmp_path_factory, _one_thread):
    """A trainer of `mae_settings` after its last epoch."""
    return run_training(mae_settings(tmp_path_factory.mktemp("mae")))
