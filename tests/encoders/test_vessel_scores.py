"""Vessel scores of generators: which frames they read, which windows they need, and the local background."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from f2vbench.config.run import VesselScoreName
from f2vbench.encoders.global_generator import global_generator
from f2vbench.encoders.loading import load_encoder
from f2vbench.encoders.model_family import GeneratorShape
from f2vbench.encoders.vessel_scores import VesselScore, subtract_background, vessel_score_of
from f2vbench.errors import SettingsError

CHAIN = GeneratorShape(6, 3, 4, 2, 2, "none", "plane")
INDEPENDENT = GeneratorShape(3, 3, 4, 2, 2, "additive", "plane")


def load(tmp_path, family: str, shape: GeneratorShape):
    """An encoder with random weights and zero biases, saved and loaded."""
    generator = global_generator(shape)
    stream = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in generator.named_parameters():
            parameter.zero_() if name.endswith("bias") else parameter.normal_(0, 0.1, generator=stream)
    path = tmp_path / f"{family}.safetensors"
    state = {f"model.{key}": tensor for key, tensor in generator.state_dict().items()}
    save_file(state, path, {"seen": json.dumps({"skips": shape.skips})})
    return load_encoder(family, str(path)), generator


@pytest.mark.parametrize("shape", [CHAIN, INDEPENDENT], ids=["chain", "independent windows"])
def test_the_scores_of_a_video_are_those_of_all_its_frames(tmp_path, shape):
    encoder, _ = load(tmp_path, "fundus2video", shape)
    x = torch.rand(2, 3, 32, 40)
    frames = encoder.generate(x)
    expected = {
        "venous": frames[:, 4:8].mean(1),
        "venous-late": frames[:, 4:8].mean(1) - frames[:, 8:12].mean(1),
        "maximum": frames.max(1).values,
    }
    for reading, score in expected.items():
        torch.testing.assert_close(encoder.vessel_score(x, reading), score)


@pytest.mark.parametrize(
    ("shape", "reading", "windows"),
    [(CHAIN, "venous", 8), (CHAIN, "venous-late", 12), (INDEPENDENT, "venous", 6), (INDEPENDENT, "venous-late", 10)],
)
def test_only_the_windows_that_a_score_needs_are_generated(tmp_path, shape, reading, windows):
    """Frames 5 to 8 are predicted by the windows 3 to 8; a chain also needs the windows before them."""
    encoder, _ = load(tmp_path, "fundus2video", shape)
    calls = []
    encoder.model[0].register_forward_pre_hook(lambda *_: calls.append(1))
    encoder.vessel_score(torch.rand(1, 3, 32, 32), reading)
    assert len(calls) == windows


def test_a_single_frame_and_classes_have_their_own_scores(tmp_path):
    x = torch.rand(1, 3, 32, 32)
    encoder, _ = load(tmp_path, "fundus2fa", GeneratorShape(3, 1, 4, 2, 2))
    assert torch.equal(encoder.vessel_score(x, "frame"), encoder.generate(x)[:, 0])
    with pytest.raises(SettingsError, match="no vessel score 'venous'"):
        encoder.vessel_score(x, "venous")
    truth, generator = load(tmp_path, "truth", GeneratorShape(3, 5, 4, 2, 2))
    with torch.no_grad():
        logits = generator[:-1](2 * x - 1)  # before the tanh
    probability = torch.sigmoid(2 * logits)[:, :2].max(1).values
    torch.testing.assert_close(truth.vessel_score(x, "probability"), probability)
    assert not truth.can_generate
    with pytest.raises(SettingsError, match="generates no angiogram"):
        truth.generate(x)
    with pytest.raises(SettingsError, match="no vessel score 'frame'"):
        truth.vessel_score(x, "frame")
    with pytest.raises(SettingsError, match="is no generator"):
        load_encoder("timm:test_resnet:untrained").vessel_score(x, "frame")


@pytest.mark.parametrize(
    ("family", "shape"),
    [("fundus2video", replace(CHAIN, classes=4)), ("fundus2fa", GeneratorShape(3, 1, 4, 2, 2, classes=2))],
    ids=["video", "frame"],
)
def test_a_generator_with_a_layer_of_the_truth_has_a_probability_of_vessels(tmp_path, family, shape):
    encoder, generator = load(tmp_path, family, shape)
    assert encoder.spec.has_truth_layer
    assert encoder.spec.predicts_vessels
    assert encoder.spec.identity()["has_truth_layer"]
    x = torch.rand(1, 3, 32, 44)
    photograph = 2 * x - 1
    inputs = photograph
    if family == "fundus2video":  # the first window: the photograph twice, and the first position in the video
        inputs = torch.cat([photograph, photograph, -torch.ones(1, 1, 32, 44)], 1)
    with torch.no_grad():
        features = generator[: shape.last_feature_map + 1](inputs)
        if generator.time is not None:
            scale, offset = generator.time[0]
            features = features * scale.exp()[:, None, None] + offset[:, None, None]
        logits = torch.einsum("nchw,kc->nkhw", features, generator.truth_weight[:2, :, 0, 0])
        logits += generator.truth_bias[:2, None, None]
    torch.testing.assert_close(encoder.vessel_score(x, "probability"), torch.sigmoid(logits).max(1).values)
    # Its frames are those of the same generator without the layer.
    del generator.truth_weight, generator.truth_bias
    generator.truth_weight = generator.truth_bias = None
    state = {f"model.{key}": tensor for key, tensor in generator.state_dict().items()}
    save_file(state, tmp_path / "frames.safetensors")
    frames = load_encoder(family, str(tmp_path / "frames.safetensors"))
    assert not frames.spec.predicts_vessels
    assert torch.equal(frames.generate(x), encoder.generate(x))
    with pytest.raises(SettingsError, match="no vessel score 'probability'"):
        frames.vessel_score(x, "probability")


def test_the_mean_of_eight_views_is_that_of_the_symmetries_of_a_square(tmp_path):
    encoder, _ = load(tmp_path, "fundus2fa", GeneratorShape(3, 1, 4, 2, 2))
    x = torch.rand(1, 3, 32, 40)
    square = x[0].permute(1, 2, 0).numpy()
    scores = []
    for mirrored in (False, True):
        for turns in range(4):
            seen = np.rot90(square[:, ::-1] if mirrored else square, turns)
            score = encoder.vessel_score(torch.from_numpy(seen.copy()).permute(2, 0, 1)[None], "frame")[0].numpy()
            score = np.rot90(score, -turns)
            scores.append(score[:, ::-1] if mirrored else score)
    for views in (1, 4, 8):
        found = encoder.vessel_score(x, "frame", views)[0].numpy()
        np.testing.assert_allclose(found, np.mean(scores[:views], axis=0), atol=1e-6)
    assert np.abs(scores[0] - scores[7]).max() > 1e-4
    with pytest.raises(ValueError, match="views=0"):
        encoder.vessel_score(x, "frame", 0)


def test_every_family_of_generators_has_a_score_for_every_name():
    names = get_args(VesselScoreName)
    frames = [name for name in names if name not in ("auto", "probability")]
    probability = VesselScore("probability", False)
    video = [vessel_score_of("fundus2video", False, name) for name in frames]
    assert len(set(video)) == len(frames)
    assert [score.threshold for score in video] == [0.5, None, None, None, 0.5, None]
    assert {vessel_score_of("fundus2fa", False, name) for name in frames} == {
        VesselScore("frame", False), VesselScore("frame", True),
    }  # fmt: skip
    assert vessel_score_of("fundus2fa", False, "venous-late-contrast").is_contrast
    assert {vessel_score_of("truth", False, name) for name in names} == {probability}
    for family in ("fundus2video", "fundus2fa"):
        assert vessel_score_of(family, True, "auto") == vessel_score_of(family, True, "probability") == probability
        assert vessel_score_of(family, True, "brightness") == vessel_score_of(family, False, "auto")
        with pytest.raises(SettingsError, match="its weights predict no vessels, only frames"):
            vessel_score_of(family, False, "probability")


def test_the_background_is_a_gaussian_mean_inside_the_field_of_view():
    rows, columns = np.mgrid[:61, :61]
    fov = np.hypot(rows - 30, columns - 30) < 25
    score = np.random.default_rng(0).random((61, 61)).astype(np.float32)
    found = subtract_background(score, fov)
    sigma = 49 / 30  # rows 6 to 54
    for row, column in ((30, 30), (8, 30), (40, 20)):
        weight = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * sigma**2)) * fov
        expected = score[row, column] - (weight * score).sum() / weight.sum()
        assert found[row, column] == pytest.approx(expected, abs=2e-3)
    assert not found[~fov].any()
    np.testing.assert_allclose(subtract_background(np.where(fov, np.float32(0.7), 0), fov), 0, atol=1e-5)
    assert not subtract_background(score, np.zeros_like(fov)).any()
