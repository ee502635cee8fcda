"""Weights files of small networks, with matching cards."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch

from tests.helpers.video_networks import TinyI3D, WeightsFile, alexnet_state


@pytest.fixture(scope="module")
def alexnet(tmp_path_factory) -> WeightsFile:
    if find_spec("lpips") is None:
        pytest.skip("the package lpips is not installed: pip install f2vbench[video]")
    path = tmp_path_factory.mktemp("trunk") / "alexnet.pth"
    torch.save(alexnet_state(), path)
    return WeightsFile(path, "lpips-alex")


@pytest.fixture(scope="module")
def tiny_i3d(tmp_path_factory) -> WeightsFile:
    path = tmp_path_factory.mktemp("i3d") / "tiny.pt"
    torch.jit.script(TinyI3D()).save(str(path))
    return WeightsFile(path, "i3d-kinetics400")
