"""A Hub that accepts connections and never answers."""

from __future__ import annotations

import socket
import time

import huggingface_hub.constants
import pytest
import timm  # noqa: F401  # its import takes seconds on a busy machine, which are no waiting

from f2vbench.encoders.loading import build
from f2vbench.encoders.model_argument import parse_model
from f2vbench.errors import WeightsError
from f2vbench.pretrained import hub
from f2vbench.pretrained.hub import fetch, fetch_weights
from f2vbench.pretrained.weights_cards import weights_card

_MESSAGE_SECONDS = 15.0  # longest time until the error message is printed
_TIMEOUT = 0.5  # s, in these tests
_USED_TIMEOUT = hub.TIMEOUT


@pytest.fixture
def silent_hub(monkeypatch, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setenv("F2VBENCH_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(hub, "TIMEOUT", _TIMEOUT)
        yield


@pytest.mark.parametrize(
    "download",
    [
        lambda: fetch("hf://owner/name"),
        lambda: fetch("hf://owner/name/file.safetensors"),
        lambda: fetch_weights(weights_card("retfound-mae-naturecfp")),
        lambda: build(parse_model("timm:resnet18")),
    ],
    ids=["repository", "file", "card", "timm"],
)
def test_it_says_so_within_15_seconds(silent_hub, download):
    """It waits for one time-out, which is shorter here; the client's own attempts would take minutes."""
    started = time.monotonic()
    with pytest.raises(WeightsError, match=r"can't be reached|could not be downloaded"):
        download()
    waited = time.monotonic() - started
    assert waited >= _TIMEOUT, "the Hub was not asked"
    assert waited - _TIMEOUT + _USED_TIMEOUT < _MESSAGE_SECONDS
