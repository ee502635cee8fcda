"""Search for RETFound's released files, and the instructions in messages about missing ones."""

from __future__ import annotations

import pytest
import torch

from f2vbench.encoders.loading import load_encoder
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.registry import FAMILIES
from f2vbench.encoders.retfound import load_retfound
from f2vbench.errors import WeightsError
from f2vbench.pretrained.weights_cards import weights_card
from tests.helpers.retfound_files import TINY, has_weights_of, mae_checkpoint, random_network


@pytest.fixture
def offline(tmp_path, monkeypatch):
    from huggingface_hub import constants

    for variable in ("F2VBENCH_CACHE", "TORCH_HOME", "HF_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def test_missing_gated_weights_say_how_to_request_access_log_in_and_download(offline):
    with pytest.raises(WeightsError) as caught:
        load_encoder("retfound:mae_meh")
    message = str(caught.value)
    for part in (
        "RETFound_mae_meh.pth is not on this machine",
        "Request access at https://huggingface.co/YukunZhou/RETFound_mae_meh",
        "CC BY-NC 4.0",
        "hf auth login",
        "hf download YukunZhou/RETFound_mae_meh RETFound_mae_meh.pth --local-dir",
        str(offline / "F2VBENCH_CACHE" / "weights" / "RETFound_mae_meh.pth"),
    ):
        assert part in message


def test_missing_green_weights_say_what_to_download(offline):
    with pytest.raises(
        WeightsError, match=r"retfoundgreen_statedict\.pth is not on this machine. Download https://git"
    ):
        load_encoder("retfound-green")


def test_released_weights_on_this_machine_are_used_before_the_hub(offline):
    folder = offline / "F2VBENCH_CACHE" / "weights"
    folder.mkdir(parents=True)
    network = random_network("mae")
    torch.save(mae_checkpoint(network.state_dict()), folder / "RETFound_mae_natureCFP.pth")
    assert has_weights_of(load_retfound(parse_model("retfound"), **TINY), network)


def test_a_refused_download_gives_the_reason_and_the_instructions(offline, monkeypatch):
    import huggingface_hub

    requests = []

    def refuse(repo, file, revision, local_files_only):
        requests.append((repo, file, revision))
        raise PermissionError("Access to model is restricted\nask first")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    with pytest.raises(WeightsError, match=r"\(PermissionError: Access to model is restricted\)\. Request access at"):
        load_encoder("retfound:dinov2_shanghai")
    assert requests == [("YukunZhou/RETFound_dinov2_shanghai", "RETFound_dinov2_shanghai.pth", None)]


def test_every_released_variant_has_a_weights_card():
    for variant in FAMILIES["retfound"].variants:
        card = weights_card(FAMILIES["retfound"].card_of(variant))
        assert (card.file, card.gated) == (f"RETFound_{variant}.pth", True)
        assert card.hub is not None
        assert card.hub.repo == f"YukunZhou/RETFound_{variant}"
        assert card.licence == "CC BY-NC 4.0"
    assert weights_card(FAMILIES["retfound-green"].card_of("retfound-green")).file == "retfoundgreen_statedict.pth"
