"""Weights cards, the search for their files, and messages about missing ones."""

from __future__ import annotations

import hashlib

import pytest
import torch

from f2vbench.errors import WeightsError
from f2vbench.pretrained.checkpoints import file_sha256
from f2vbench.pretrained.weights_cards import HubLocation, parse_weights_card, weights_card, weights_cards
from f2vbench.pretrained.weights_files import find_weights, is_available
from f2vbench.pretrained.weights_writing import encode_weights, write_weights
from tests.helpers.shards import small_files

CARD = """
name: toy
title: Toy weights
used_for: tests
kind: download
source: https://example.org/toy
url: https://example.org/toy.pt
file: toy.pt
sha256: {digest}
size: 4
licence: MIT
architecture: none
preprocessing: none
training_data: none
citation: none
"""


@pytest.fixture
def card():
    return parse_weights_card(CARD.format(digest=hashlib.sha256(b"toys").hexdigest()), "toy.yaml")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    for variable in ("F2VBENCH_CACHE", "TORCH_HOME", "HF_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    return tmp_path


def test_every_card_of_the_package_is_valid():
    assert {"lpips-alex", "i3d-kinetics400"} <= set(weights_cards())
    assert all(weights_card(name).name == name for name in weights_cards())


def test_the_i3d_card_pins_the_file_of_published_frechet_distances():
    card = weights_card("i3d-kinetics400")
    assert card.size == 51_235_320
    assert card.sha256 == "bec6519f66ea534e953026b4ae2c65553c17bf105611c746d904657e5860a5e2"


def test_missing_weights_say_what_to_download_and_where_to_put_it(card, cache):
    with pytest.raises(WeightsError, match=r"Download https://example\.org/toy\.pt") as caught:
        find_weights(card)
    assert str(cache / "F2VBENCH_CACHE" / "weights" / "toy.pt") in str(caught.value)


def test_a_file_is_found_by_path_by_folder_in_the_cache_and_among_downloads_of_torch(card, cache):
    for folder in (cache / "TORCH_HOME" / "hub" / "checkpoints", cache / "F2VBENCH_CACHE" / "weights"):
        folder.mkdir(parents=True)
        (folder / "toy.pt").write_bytes(b"toys")
        assert find_weights(card) == folder / "toy.pt"
        assert find_weights(card, folder) == find_weights(card, folder / "toy.pt") == folder / "toy.pt"


def test_a_shipped_file_is_in_the_folder_of_its_card(card):
    shipped = card.model_copy(update={"kind": "shipped", "file": "lpips-alex.yaml", "size": None, "sha256": None})
    assert find_weights(shipped).read_text().startswith("name: lpips-alex")


def test_a_download_in_shards_is_complete_with_its_shards_and_says_how_to_get_them(card, cache):
    with small_files(1_000):
        files = encode_weights({"a": torch.zeros(300), "b": torch.ones(300)}, "toy")
    folder = cache / "F2VBENCH_CACHE" / "weights"
    path = write_weights(folder, files)
    facts = {"file": path.name, "size": sum(map(len, files.values())), "sha256": file_sha256(path), "url": None}
    hub = HubLocation(repo="me/toy", revision="a" * 40)
    card = card.model_copy(update={**facts, "hub": hub})
    assert is_available(card)
    assert find_weights(card) == find_weights(card, folder / "toy.safetensors") == path
    (folder / "toy-00002-of-00002.safetensors").unlink()
    assert not is_available(card)
    with pytest.raises(WeightsError, match=r"the shards toy-00002-of-00002\.safetensors are missing") as caught:
        find_weights(card)
    assert f"hf download me/toy --include 'toy*.safetensors*' --revision {'a' * 40} --local-dir {folder}`" in str(
        caught.value
    )
    path.write_text("{")
    with pytest.raises(WeightsError, match="no index of weights in shards"):
        find_weights(card)


@pytest.mark.parametrize(("content", "message"), [(b"to", "2 bytes, but toy.pt has 4"), (b"dogs", "not the file")])
def test_a_file_of_another_size_or_content_is_refused(card, cache, content, message):
    (cache / "toy.pt").write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        find_weights(card, cache / "toy.pt")


def test_problems_of_a_card_are_listed_with_their_keys():
    with pytest.raises(WeightsError, match=r"(?s)toy\.yaml: file: .*toy\.yaml: sise: "):
        parse_weights_card(
            CARD.format(digest="null").replace("size", "sise").replace("toy.pt\ns", "a/toy.pt\ns"), "toy.yaml"
        )
    with pytest.raises(WeightsError, match="not valid YAML"):
        parse_weights_card("a: [", "toy.yaml")
    with pytest.raises(WeightsError, match="did you mean 'lpips-alex'"):
        weights_card("lpips-alexx")
