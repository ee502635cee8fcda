"""Decoders on feature maps and the scratch network learn vessels, and training is reproducible."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.metrics import roc_auc_score

from f2vbench.adapters.registry import adapter_for
from f2vbench.adapters.trained_segmenters import DecoderSegmenter, LabelledImage, ScratchSegmenter, _random_view
from f2vbench.config.parsing import build as build_settings
from f2vbench.config.run import RunSettings
from f2vbench.data.photographs import Photograph
from f2vbench.encoders.generator_decoder import GeneratorDecoder
from f2vbench.encoders.global_generator import SkipState, global_generator, initialise, window_input
from f2vbench.encoders.loading import build
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.model_family import GeneratorShape
from f2vbench.errors import SettingsError
from f2vbench.runner.extraction import encode_squares
from tests.helpers.eyes import eye

CPU = torch.device("cpu")
SIZE = 64


def photograph(seed: int, side: int = 96) -> Photograph:
    rgb, vessels, fov = eye(seed, side)
    return Photograph(f"eye{seed}", rgb, fov, f"content {seed}", vessels)


def settings(**values) -> RunSettings:
    return build_settings(RunSettings, {"task": "folder", "image_size": SIZE, **values})


@pytest.fixture(scope="module")
def encoder():
    return build(parse_model("timm:test_resnet:untrained")).requires_grad_(False)


@pytest.fixture(scope="module")
def stored_maps(encoder):
    """Feature maps as the feature store returns them."""

    def read(photo: Photograph) -> list[np.ndarray]:
        arrays = encode_squares(encoder, "pyramid", photo.square(SIZE)[None], CPU, "float32")[0]
        return [array.astype(np.float16) for array in arrays.values()]

    return read


def test_crops_of_stored_maps_show_the_same_region_as_their_targets(encoder, stored_maps):
    batch_settings = settings(augment="none", batch_size=3, decoder={"crop": 32})
    segmenter = DecoderSegmenter(encoder, stored_maps, batch_settings, CPU)
    photo = photograph(1)
    pyramid, target, valid = segmenter.pooled_batches([photo], np.random.default_rng(0))()
    vessels, inside = photo.square_targets(SIZE)
    for row in range(3):
        corners = [
            (top, left)
            for top in range(0, SIZE - 31, 32)
            for left in range(0, SIZE - 31, 32)
            if np.array_equal(vessels[0, top : top + 32, left : left + 32], target[row, 0].numpy())
            and np.array_equal(inside[top : top + 32, left : left + 32], valid[row, 0].numpy())
        ]
        assert len(corners) == 1
        top, left = corners[0]
        for level, stride in enumerate(encoder.strides):
            whole = stored_maps(photo)[level]
            crop = whole[:, top // stride : (top + 32) // stride, left // stride : (left + 32) // stride]
            np.testing.assert_array_equal(pyramid[level][row].numpy(), crop.astype(np.float32))


@pytest.mark.parametrize(
    "values",
    [
        {"augment": "none"},
        {"augment": "pool"},
        {"augment": "live"},
        {"augment": "live", "finetune": "full", "decoder": {"crop": 32, "encoder_learning_rate": 1e-3}},
        {"augment": "live", "finetune": "vessels", "decoder": {"crop": 32, "encoder_learning_rate": 1e-3}},
    ],
    ids=["stored maps", "pool of views", "live augmentation", "fine-tuning", "fine-tuning for vessels"],
)
def test_a_decoder_learns_vessels_from_two_photographs(encoder, stored_maps, values):
    before = encoder.state_sha256()
    base = {"steps": 40, "batch_size": 6, "decoder": {"crop": 32, "learning_rate": 5e-3}}
    segmenter = DecoderSegmenter(encoder, stored_maps, settings(**(base | values)), CPU)
    assert segmenter.fit([photograph(1), photograph(2)], seed=3).steps == 40
    test_photo = photograph(9)
    scores = segmenter.score(test_photo).restored()[0]
    assert scores.shape == test_photo.fov.shape
    assert 0 <= scores.min() <= scores.max() <= 1
    assert roc_auc_score(test_photo.vessels[test_photo.fov], scores[test_photo.fov]) > 0.85
    assert encoder.state_sha256() == before, "the encoder has changed"


@pytest.mark.parametrize("augment", ["none", "live"])
def test_balanced_crops_contain_a_spot_that_uniform_crops_seldom_show(encoder, stored_maps, augment):
    rgb, _, fov = eye(1, SIZE)
    spot = np.zeros(fov.shape, bool)
    spot[44:46, 30:32] = True
    photo = Photograph("spot", rgb, fov, "content", spot)
    shares = {}
    for sampling in ("uniform", "balanced"):
        chosen = settings(augment=augment, batch_size=8, decoder={"crop": 32, "sampling": sampling})
        segmenter = DecoderSegmenter(encoder, stored_maps, chosen, CPU)
        draw = segmenter.live_batches if augment == "live" else segmenter.pooled_batches
        draw_batch = draw([photo, replace(photo, name="healthy", label=np.zeros_like(spot))], np.random.default_rng(0))
        targets = torch.cat([draw_batch().target for _ in range(12)])
        shares[sampling] = float((targets.flatten(1).amax(1) > 0).float().mean())
    assert shares["balanced"] > 0.5 > shares["uniform"]


def live_scores(encoder, stored_maps, seed: int, precision: str = "float32") -> np.ndarray:
    """Scores of a decoder after three steps on augmented crops."""
    few_steps = settings(steps=3, augment="live", batch_size=2, decoder={"crop": SIZE})
    segmenter = DecoderSegmenter(encoder, stored_maps, few_steps, CPU, precision)
    segmenter.fit([photograph(1)], seed=seed)
    return segmenter.score(photograph(2)).values


@pytest.mark.parametrize(("crop", "augment"), [(32, True), (SIZE, True), (32, False)])
def test_augmented_crops_show_70_to_100_percent_of_their_side(crop, augment):
    ramp = np.tile(np.arange(SIZE, dtype=np.uint8), (SIZE, 1))
    square = LabelledImage(np.stack([ramp] * 3, -1), ramp[None] / np.float32(SIZE), np.ones((SIZE, SIZE), np.float32))
    pitches = set()
    for seed in range(30):
        view = _random_view(np.random.default_rng(seed), square, crop, augment)
        assert view.image.shape == (crop, crop, 3)
        pitches.add(abs(float(view.masks[0, 5, 20] - view.masks[0, 5, 10])) * SIZE / 10)
    assert (min(pitches), max(pitches)) == pytest.approx((0.72, 1.0) if augment else (1.0, 1.0), abs=0.03)


def test_training_is_reproducible_to_the_last_bit(encoder, stored_maps):
    scores = []
    for global_seed in (0, 99):
        torch.manual_seed(global_seed)
        np.random.seed(global_seed)
        scores.append(live_scores(encoder, stored_maps, seed=5))
    np.testing.assert_array_equal(*scores)
    assert not np.array_equal(live_scores(encoder, stored_maps, seed=6), scores[0])


def test_half_precision_of_the_encoder_changes_scores_only_a_little(encoder, stored_maps):
    full = live_scores(encoder, stored_maps, seed=5)
    half = live_scores(encoder, stored_maps, seed=5, precision="bf16")
    assert not np.array_equal(full, half)
    np.testing.assert_allclose(full, half, atol=0.1)


def test_the_scratch_segmenter_scores_at_the_resolution_of_the_photograph():
    segmenter = ScratchSegmenter(settings(image_size=512, scratch={"steps": 2, "batch_size": 2}), CPU)
    assert segmenter.fit([photograph(1)], seed=0).steps == 2
    assert segmenter.score(photograph(2)).restored().shape == (1, 96, 96)


GENERATORS = {
    "video": ("fundus2video", GeneratorShape(6, 3, 8, 2, 3, "none", "plane"), {}),
    "skips": ("fundus2fa", GeneratorShape(3, 1, 8, 3, 2, "additive"), {"skips": "additive"}),
    "enlarged": ("fundus2fa", GeneratorShape(3, 1, 8, 2, 3), {"enlarge": "2"}),
    "truth": ("truth", GeneratorShape(3, 4, 8, 2, 3), {}),
}


def load_generator(folder: Path, name: str, cut: int | str | None = None, random: bool = False):
    """A generator with its second half as the decoder: untrained, or with random numbers in all parameters."""
    family, shape, metadata = GENERATORS[name]
    network = global_generator(shape)
    initialise(network)
    if random:
        stream = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.normal_(0, 0.1, generator=stream)
    path = folder / "g.safetensors"
    state = {f"model.{key}": tensor for key, tensor in network.state_dict().items()}
    save_file(state, path, {"seen": json.dumps(metadata)})
    return build(parse_model(f"{family}:{path}@generator", cut=cut)).requires_grad_(False), network.eval()


@pytest.mark.parametrize("cut", [None, "whole"])
@pytest.mark.parametrize(
    ("family", "shape", "metadata"),
    [
        ("fundus2video", GeneratorShape(6, 3, 8, 2, 3, "none", "plane", classes=5), {}),
        ("fundus2fa", GeneratorShape(3, 1, 8, 2, 2, "additive", classes=3), {"skips": "additive"}),
        ("fundus2fa", GeneratorShape(3, 1, 8, 2, 3, classes=2), {"enlarge": "2"}),
        ("truth", GeneratorShape(3, 4, 8, 2, 3), {}),
    ],
    ids=["video", "skips", "enlarged", "truth"],
)
def test_a_generator_that_predicts_vessels_is_a_vessel_decoder_before_its_training(
    tmp_path, monkeypatch, family, shape, metadata, cut
):
    monkeypatch.setitem(GENERATORS, "predicts", (family, shape, metadata))
    encoder, _ = load_generator(tmp_path, "predicts", cut, random=True)
    x = torch.rand(1, 3, SIZE, SIZE)
    decoder = GeneratorDecoder(encoder).eval()
    with torch.no_grad():
        logits = decoder(encoder.pyramid(x), (SIZE, SIZE))[:, 0]
        probability = encoder.vessel_score(x, "probability")
    # log(exp(a) + exp(v)) lies between the larger logit and that plus log 2.
    larger = torch.logit(probability)
    if metadata.get("enlarge"):  # the probability is the mean of finer pixels, the decoder averages their features
        assert np.corrcoef(logits.ravel(), larger.ravel())[0, 1] > 0.6
    else:
        assert ((logits >= larger - 1e-3) & (logits <= larger + np.log(2) + 1e-3)).all()
    assert logits.std() > 0.02
    pretrained, new = (list(part) for part in (decoder.pretrained_parameters(), decoder.new_parameters()))
    assert {id(p) for p in (*pretrained, *new)} == {id(p) for p in decoder.parameters()}


def test_a_generator_starts_from_the_classes_that_it_predicts(tmp_path, monkeypatch):
    monkeypatch.setitem(GENERATORS, "predicts", ("fundus2fa", GeneratorShape(3, 1, 8, 2, 2, classes=3), {}))
    encoder, _ = load_generator(tmp_path, "predicts", None, random=True)
    x = torch.rand(1, 3, SIZE, SIZE)
    decoder = GeneratorDecoder(encoder, ("disc", "cup", "artery", "vessel")).eval()
    with torch.no_grad():
        logits = decoder(encoder.pyramid(x), (SIZE, SIZE))
        truth = encoder.vessel_score(x, "truth")
        vessels = GeneratorDecoder(encoder).eval()(encoder.pyramid(x), (SIZE, SIZE))
    assert truth.shape == (1, 3, SIZE, SIZE)
    torch.testing.assert_close(logits[:, [0, 2]].sigmoid(), truth[:, [2, 0]], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(logits[:, 3:], vessels)
    assert logits[:, 1].std() > 0  # the cup has a new output layer
    turned = encoder.vessel_score(x.rot90(1, (2, 3)), "truth", views=8)
    torch.testing.assert_close(turned.rot90(-1, (2, 3)), encoder.vessel_score(x, "truth", views=8))


def read_maps(generator):
    """Feature maps as the feature store returns them, in full precision."""

    def read(photo: Photograph) -> list[np.ndarray]:
        return list(encode_squares(generator, "pyramid", photo.square(SIZE)[None], CPU, "float32")[0].values())

    return read


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("cut", [None, "whole"])
def test_a_generator_decoder_continues_the_generator(tmp_path, name, cut):
    """With the generator's own output layer it computes the generator's output before the tanh."""
    encoder, network = load_generator(tmp_path, name, cut)
    decoder = GeneratorDecoder(encoder).eval()
    decoder.truth = None
    assert not {id(p) for p in decoder.parameters()} & {id(p) for p in encoder.second_part().parameters()}
    x = torch.rand(1, 3, SIZE, SIZE)
    factor = encoder.enlarge
    larger = torch.nn.functional.interpolate(x, scale_factor=factor, mode="bicubic") if factor > 1 else x
    with torch.no_grad():
        last = decoder.head[1]
        last.weight.zero_()
        last.weight[:, : encoder.shape.ngf] = network[-2].weight[:1]
        last.bias.copy_(network[-2].bias[:1])
        inputs, skips = window_input((2 * larger - 1).clamp(-1, 1), shape=encoder.shape), SkipState(encoder.shape)
        for index, layer in enumerate(network[:-3]):
            inputs = skips.after(index, layer(inputs))
        expected = network[-3:-1](torch.nn.functional.avg_pool2d(inputs, factor))[:, :1]
        found = decoder(encoder.pyramid(x), (SIZE, SIZE))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    frames = last.weight.shape[1] - encoder.shape.ngf
    assert frames == (encoder.output_maps if cut == "whole" else 0)


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize(
    "values",
    [
        {"augment": "none"},
        {"augment": "pool", "cut": "whole"},
        {"augment": "live", "finetune": "full", "decoder": {"crop": 32, "encoder_learning_rate": 1e-3}},
    ],
    ids=["stored maps", "pool of views of the whole generator", "fine-tuning"],
)
def test_the_second_half_of_a_generator_learns_vessels_from_two_photographs(tmp_path, name, values):
    encoder, _ = load_generator(tmp_path, name, values.get("cut"))
    before = encoder.state_sha256()
    second = {key: tensor.clone() for key, tensor in encoder.second_part().state_dict().items()}
    base = {"steps": 100, "batch_size": 6, "decoder": {"crop": 32, "learning_rate": 5e-3}}
    segmenter = DecoderSegmenter(encoder, read_maps(encoder), settings(**(base | values)), CPU)
    assert segmenter.fit([photograph(1), photograph(2)], seed=3).steps == 100
    test_photo = photograph(9)
    scores = segmenter.score(test_photo).restored()[0]
    assert roc_auc_score(test_photo.vessels[test_photo.fov], scores[test_photo.fov]) > 0.7
    assert encoder.state_sha256() == before, "the encoder has changed"
    assert all(torch.equal(encoder.second_part().state_dict()[key], tensor) for key, tensor in second.items())


def test_a_generator_whose_skips_are_finer_than_the_photograph_has_no_generator_decoder(tmp_path, monkeypatch):
    shape = GeneratorShape(3, 1, 4, 2, 3, "additive")
    monkeypatch.setitem(GENERATORS, "both", ("fundus2fa", shape, {"skips": "additive", "enlarge": "2"}))
    encoder, _ = load_generator(tmp_path, "both")
    with pytest.raises(SettingsError, match=r"2 times as fine as the photograph.*use decoder=unet"):
        GeneratorDecoder(encoder)


def test_the_decoder_setting_is_a_name_or_a_key():
    assert settings(preset="quick", image_size=128).decoder.network == "unet"
    for values in ({"decoder": "generator"}, {"decoder": {"network": "generator"}}):
        chosen = settings(preset="quick", image_size=128, **values).decoder
        assert (chosen.network, chosen.crop) == ("generator", 128)
    with pytest.raises(SettingsError, match=r"decoder\.network=fpn: must be one of unet, generator"):
        settings(decoder="fpn")


def test_fine_tuning_for_vessels_is_fine_tuning_in_segmentation_and_frozen_in_classification(encoder, stored_maps):
    scores = []
    for finetune in ("full", "vessels"):
        values = {"steps": 3, "batch_size": 2, "augment": "live", "finetune": finetune, "decoder": {"crop": 32}}
        segmenter = DecoderSegmenter(encoder, stored_maps, settings(**values), CPU)
        segmenter.fit([photograph(1)], seed=3)
        scores.append(segmenter.score(photograph(2)).values)
    np.testing.assert_array_equal(*scores)
    model = parse_model("timm:resnet18:untrained")
    full, vessels, frozen = (settings(finetune=value) for value in ("full", "vessels", "frozen"))
    segmentation, classification = adapter_for("segmentation"), adapter_for("classification")
    crops = [settings(augment="live", decoder={"crop": side}) for side in (32, SIZE)]
    versions = [segmentation.recorded_settings(model, "few-shot", each).get("crop_version") for each in crops]
    assert versions == [2, None]
    for adapter, same, other in ((segmentation, full, frozen), (classification, frozen, full)):
        recorded = adapter.recorded_settings(model, "few-shot", vessels)
        assert recorded == adapter.recorded_settings(model, "few-shot", same)
        assert recorded != adapter.recorded_settings(model, "few-shot", other)
        kinds = [adapter.feature_kind(model, "few-shot", each) for each in (vessels, same, other)]
        assert kinds[0] == kinds[1] != kinds[2]
