"""Where RETFound's released files are looked for, and what is told when they can't be had."""

from __future__ import annotations

import pytest
import torch

from f2vbench.encoders.loading import load_encoder
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.registry import FAMILIES
from f2vbench.encoders.retfound import load_retfound
from f2vbench.errors import WeightsError
from f2vbench.pretrained.weights_cards import weights_card
from tests.helpers.retfound_files import TINY, mae_file, network_of, same


@pytest.fixture
def no_network(tmp_path, monkeypatch):
    from huggingface_hub import constants

    for variable in ("F2VBENCH_CACHE", "TORCH_HOME", "HF_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def test_absent_released_weights_say_where_to_ask_and_how_to_log_in(no_network):
    with pytest.raises(WeightsError) as caught:
        load_encoder("retfound:mae_meh")
    told = str(caught.value)
    for part in (
        "RETFound_mae_meh.pth is not on this machine",
        "Request access at https://huggingface.co/YukunZhou/RETFound_mae_meh",
        "CC BY-NC 4.0",
        "hf auth login",
        "hf download YukunZhou/RETFound_mae_meh RETFound_mae_meh.pth --local-dir",
        str(no_network / "F2VBENCH_CACHE" / "weights" / "RETFound_mae_meh.pth"),
    ):
        assert part in told


def test_absent_green_weights_say_what_to_download(no_network):
    with pytest.raises(
        WeightsError, match=r"retfoundgreen_statedict\.pth is not on this machine. Download https://git"
    ):
        load_encoder("retfound-green")


def test_released_weights_are_taken_from_this_machine_before_the_hub(no_network):
    folder = no_network / "F2VBENCH_CACHE" / "weights"
    folder.mkdir(parents=True)
    network = network_of("mae")
    torch.save(mae_file(network.state_dict()), folder / "RETFound_mae_natureCFP.pth")
    assert same(load_retfound(parse_model("retfound"), **TINY), network)


def test_what_the_hub_refuses_is_told_with_its_reason(no_network, monkeypatch):
    import huggingface_hub

    asked = []

    def refuse(repo, file, revision):
        asked.append((repo, file, revision))
        raise PermissionError("Access to model is restricted\nask first")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    with pytest.raises(WeightsError, match=r"\(PermissionError: Access to model is restricted\)\. Request access at"):
        load_encoder("retfound:dinov2_shanghai")
    assert asked == [("YukunZhou/RETFound_dinov2_shanghai", "RETFound_dinov2_shanghai.pth", None)]


def test_every_released_name_has_a_card_of_its_own_file():
    for variant in FAMILIES["retfound"].variants:
        card = weights_card(FAMILIES["retfound"].card_of(variant))
        assert (card.file, card.gated) == (f"RETFound_{variant}.pth", True)
        assert card.hub is not None
        assert card.hub.repo == f"YukunZhou/RETFound_{variant}"
        assert card.licence == "CC BY-NC 4.0"
    assert weights_card(FAMILIES["retfound-green"].card_of("retfound-green")).file == "retfoundgreen_statedict.pth"
