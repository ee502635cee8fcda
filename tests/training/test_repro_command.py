"""The command on a weights card repeats the training."""

from __future__ import annotations

import shlex

import pytest

from f2vbench.config.parsing import build, parse
from f2vbench.training.repro_command import training_command
from f2vbench.training.settings import TrainSettings

SETTINGS = [
    {},
    {"preset": "paper", "crop": "256", "split": "80/10/10"},
    {"preset": "released", "loss": {"vgg": "vgg19-dcbb9e9d.pth", "gan": 0.3}},
    {"preset": "mini", "ablation": "none", "truth_videos": "none", "seed": 7},
    {"model": "fundus2fa", "phase": "late", "ema": 0.5},
    {"model": "pix2pixhd", "preset": "mini", "out": "/somewhere/private", "threads": 2},
]


@pytest.mark.parametrize("values", SETTINGS, ids=str)
def test_the_command_gives_the_settings_of_the_training(values):
    settings = build(TrainSettings, values)
    command = training_command(settings)
    assert "private" not in command
    program, verb, *arguments = shlex.split(command)
    assert (program, verb) == ("f2vbench", "train")
    assert parse(TrainSettings, arguments).identity() == settings.identity()


def test_the_command_has_only_changed_settings_and_the_last_name_of_folders():
    settings = build(TrainSettings, {"preset": "mini", "data": "/home/someone/pairs.csv", "seed": 2})
    command = "f2vbench train model=fundus2video preset=mini seed=2 data=pairs.csv"
    assert training_command(settings) == command
