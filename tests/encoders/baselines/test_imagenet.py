"""`imagenet-lite0`: weights of a Python package, mapped name by name to timm's network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import data

from f2vbench.encoders.baselines.imagenet import with_timm_names
from f2vbench.encoders.loading import build, load_encoder
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.registry import IMAGENET_BASELINE
from f2vbench.encoders.timm_models import timm
from f2vbench.errors import SettingsError, WeightsError
from f2vbench.pretrained.checkpoints import read_state_dict
from f2vbench.pretrained.state_dicts import match_state_dict
from f2vbench.pretrained.weights_cards import weights_card
from f2vbench.pretrained.weights_files import find_weights, is_available

CARD = weights_card(IMAGENET_BASELINE)
INSTALL = 'pip install "f2vbench[imagenet]"'
needs_extra = pytest.mark.skipif(not is_available(CARD), reason=f"the extra is absent: {INSTALL}")


@pytest.fixture
def without_extra(monkeypatch):
    """An environment in which no Python package has the weights."""
    monkeypatch.setattr("f2vbench.pretrained.weights_files.files_in_package", lambda package, file: [])


def classifier() -> torch.nn.Module:
    """timm's network with its classifier, with all tensors of the package."""
    model = timm.create_model("tf_efficientnet_lite0").eval()
    state = with_timm_names(read_state_dict(find_weights(CARD)), [len(stage) for stage in model.blocks])
    model.load_state_dict(state, strict=True)
    return model


@needs_extra
def test_the_mapped_weights_give_the_output_of_the_network_that_they_were_made_for():
    reference = pytest.importorskip("efficientnet_lite_pytorch")
    original = reference.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(find_weights(CARD))).eval()
    images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.inference_mode():
        expected = original(images)
        assert torch.allclose(classifier()(images), expected, atol=1e-5)
        pooled = original.extract_features(images).mean((2, 3))
        assert torch.allclose(build(parse_model(IMAGENET_BASELINE)).pooled(images), pooled, atol=1e-5)
    assert expected.std() > 0.1


@needs_extra
@pytest.mark.parametrize(("image", "classes"), [("chelsea", (281, 282, 285)), ("coffee", (967,))])
def test_a_cat_is_a_cat_and_an_espresso_an_espresso(image, classes):
    photograph = torch.from_numpy(getattr(data, image)()).permute(2, 0, 1)[None]
    with torch.inference_mode():
        logits = classifier()(build(parse_model(IMAGENET_BASELINE)).prepare(photograph))
    assert int(logits.argmax()) in classes  # ImageNet's tabby, tiger cat and Egyptian cat; espresso


@needs_extra
def test_it_is_a_baseline_of_classification_and_retrieval_with_the_identity_of_its_file():
    spec = parse_model(IMAGENET_BASELINE)
    assert (spec.name, spec.kind, spec.is_baseline, spec.is_network) == (IMAGENET_BASELINE, "features", True, True)
    assert spec.identity()["weights_sha256"] == CARD.sha256
    encoder = load_encoder(IMAGENET_BASELINE)
    embedding = encoder.embed([np.full((64, 64, 3), 90, np.uint8)])
    assert embedding.shape == (1, 1280)
    assert np.isfinite(embedding).all()
    assert [tuple(level.shape[1:]) for level in encoder.pyramid(torch.rand(1, 3, 64, 64))][-1] == (320, 2, 2)


@needs_extra
@pytest.mark.parametrize("change", ["missing", "renamed", "another shape"])
def test_every_tensor_is_accounted_for(change, tmp_path):
    state = read_state_dict(find_weights(CARD))
    tensor = state.pop("_blocks.3._expand_conv.weight")
    if change == "renamed":
        state["_blocks.3._widening_conv.weight"] = tensor
    elif change == "another shape":
        state["_blocks.3._expand_conv.weight"] = tensor[:-1]
    path = tmp_path / "changed.pth"
    torch.save(state, path)
    model = timm.create_model("tf_efficientnet_lite0", num_classes=0)
    names = with_timm_names(state, [len(stage) for stage in model.blocks])
    with pytest.raises(WeightsError, match=r"blocks\.2\.0\.conv_pw\.weight"):
        match_state_dict(model, names, path, ignore=("classifier.*",))


def test_without_the_extra_the_message_has_the_line_that_installs_it(without_extra):
    with pytest.raises(WeightsError, match=r'pip install "f2vbench\[imagenet\]"'):
        load_encoder(IMAGENET_BASELINE)


@pytest.mark.parametrize("argument", ["imagenet-lite0:untrained", "imagenet-lite0:other.pth"])
def test_it_has_no_other_weights(argument):
    with pytest.raises(SettingsError, match="no variants and no other weights; write model=imagenet-lite0, or timm:tf"):
        parse_model(argument)
