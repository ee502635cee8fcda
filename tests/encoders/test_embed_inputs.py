"""`embed` takes arrays, Pillow images and paths, and names what it does not take."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from f2vbench.adapters.base import check_finite
from f2vbench.encoders.loading import load_encoder
from f2vbench.errors import DataError
from tests.helpers.small_eyes import photograph, save


@pytest.mark.parametrize("model", ["thumbnail", "timm:test_resnet:untrained"])
def test_pillow_images_and_paths_give_the_embedding_of_the_array(tmp_path, model):
    rgb = photograph(1)
    path = save(tmp_path / "a.png", rgb)
    embedded = load_encoder(model).embed([rgb, Image.fromarray(rgb), path, str(path), Image.open(path)])
    for row in embedded[1:]:
        np.testing.assert_array_equal(row, embedded[0])


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ("a.png", "a list of photographs is needed, got a str"),
        (Image.new("RGB", (9, 9)), "a list of photographs is needed, got a Image"),
        (5, "a list of photographs is needed, got a int"),
        ([torch.zeros(3, 9, 9)], "image 0: must be an array, a Pillow image or a path, got a Tensor"),
        ([np.zeros((9, 9), np.uint8)], "image 0: must be a uint8"),
        (["none.png"], "none.png: file not found"),
    ],
)
def test_other_images_are_refused_by_position(images, message):
    with pytest.raises(DataError, match=message):
        load_encoder("thumbnail").embed(images)


def test_equal_embeddings_are_an_error():
    check_finite("a", "xy", np.ones((2, 4)))
    check_finite("a", "xyz", np.eye(3))
    with pytest.raises(DataError, match="embeddings of 3 images are all equal"):
        check_finite("a", "xyz", np.ones((3, 4)))
