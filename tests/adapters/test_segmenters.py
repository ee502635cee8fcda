"""The segmentation adapter: what it measures, where thresholds come from, and that its decoders learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, roc_auc_score

from f2vbench.adapters.segmenters import ScoreMap, TrainingFree, measure, read_angiogram, solve
from f2vbench.adapters.trained_segmenters import DecoderSegmenter, ScratchSegmenter
from f2vbench.config.parsing import build as build_settings
from f2vbench.config.run import RunSettings
from f2vbench.data.episodes import Episode
from f2vbench.data.photographs import Photograph
from f2vbench.encoders.loading import build
from f2vbench.encoders.model_argument import parse_model
from f2vbench.heads.vessel_decoder import VesselDecoder, segmentation_loss, spread_strides
from f2vbench.runner.extraction import encode
from tests.helpers.eyes import eye

CPU = torch.device("cpu")


def photograph(seed: int) -> Photograph:
    rgb, vessels, fov = eye(seed, side=96)
    return Photograph(f"eye{seed}", rgb, fov, f"content {seed}", vessels)


def darkness(seen: Photograph) -> ScoreMap:
    return ScoreMap(255 - seen.rgb[..., 1].astype(np.float32))


def settings(**words) -> RunSettings:
    return build_settings(RunSettings, {"task": "folder", **words})


EPISODE = Episode(("1", "2"), ("3", "4", "5"), seed=7)


def load(name: str) -> Photograph:
    return photograph(int(name))


def test_every_metric_equals_a_slow_loop_over_the_photographs():
    seen = [photograph(number) for number in range(3)]
    found = measure(((each, darkness(each)) for each in seen), threshold=150.0, threshold_rule="")["metrics"]
    scores = [np.where(each.fov, s, s.min()) for each in seen for s in [darkness(each).values]]
    inside = [(s[each.fov], each.vessels[each.fov]) for s, each in zip(scores, seen, strict=True)]
    frame = [(s.ravel(), each.vessels.ravel()) for s, each in zip(scores, seen, strict=True)]
    for suffix, parts in (("", inside), ("_frame", frame)):
        assert found["auroc" + suffix] == pytest.approx(np.mean([roc_auc_score(y, s) for s, y in parts]), abs=1e-12)
        assert found["dice" + suffix] == pytest.approx(np.mean([f1_score(y, s >= 150) for s, y in parts]), abs=1e-12)
        pooled_scores, pooled = (np.concatenate(each) for each in zip(*parts, strict=True))
        assert found[f"auroc{suffix}_pooled"] == pytest.approx(roc_auc_score(pooled, pooled_scores), abs=1e-12)
        assert found[f"dice{suffix}_pooled"] == pytest.approx(f1_score(pooled, pooled_scores >= 150), abs=1e-12)


def test_what_a_model_says_outside_the_field_of_view_does_not_count():
    seen = photograph(1)
    loud = ScoreMap(np.where(seen.fov, darkness(seen).values, np.float32(1000)))
    quiet = ScoreMap(np.where(seen.fov, darkness(seen).values, darkness(seen).values.min()))
    assert measure([(seen, loud)], 150.0, "") == measure([(seen, quiet)], 150.0, "")


def test_the_threshold_comes_from_the_support_set_and_never_from_the_test_set():
    asked: list[str] = []

    def score(seen: Photograph) -> ScoreMap:
        asked.append(seen.name)
        return darkness(seen)

    solution = solve(TrainingFree(score, threshold=None), EPISODE, load, settings())
    assert asked == ["eye1", "eye2"]  # before any test photograph is scored
    pixels = [(darkness(load(n)).values[load(n).fov], load(n).vessels[load(n).fov]) for n in EPISODE.support]
    scores, labels = (np.concatenate(part) for part in zip(*pixels, strict=True))
    best = max(np.unique(scores), key=lambda cut: f1_score(labels, scores >= cut))
    assert solution.threshold == best
    assert solution.threshold_rule == "best Dice on the support set"


def test_without_a_support_set_a_score_without_meaning_has_no_dice_and_says_why():
    solution = solve(TrainingFree(darkness, threshold=None), Episode((), ("3",), 0), load, settings())
    found = measure(solution.maps, solution.threshold, solution.threshold_rule)
    assert found["metrics"]["dice"] is None
    assert "no support set" in found["reasons"]["dice"]
    assert found["metrics"]["auroc"] is not None
    fixed = solve(TrainingFree(darkness, None), EPISODE, load, settings(threshold="0.5"))
    assert fixed.threshold is None
    assert "no probabilities" in fixed.threshold_rule


def test_probabilities_are_cut_at_a_half_unless_the_support_set_is_asked_for():
    half = TrainingFree(lambda seen: ScoreMap(seen.vessels.astype(np.float32) * 0.3), threshold=0.5)
    assert solve(half, EPISODE, load, settings()).threshold == 0.5
    assert solve(half, EPISODE, load, settings(threshold="support")).threshold == pytest.approx(0.3)


def test_readings_of_an_angiogram():
    frames = np.arange(12, dtype=np.float32)[:, None, None] * np.ones((12, 2, 2), np.float32)
    expected = {"arterial": 1.5, "venous": 5.5, "late": 9.5, "mean": 5.5, "maximum": 11, "last": 11}
    assert {name: read_angiogram(frames, name)[0, 0] for name in expected} == expected
    assert read_angiogram(frames[3:4], "venous")[0, 0] == 3


def encoder_and_maps(model: str, size: int):
    encoder = build(parse_model(model)).requires_grad_(False)

    def maps(seen: Photograph) -> list[np.ndarray]:
        arrays = encode(encoder, "pyramid", seen.square(size)[None], CPU, "float32")[0]
        return [array.astype(np.float16) for array in arrays.values()]

    return encoder, maps


def test_crops_of_stored_maps_belong_to_the_same_place_as_their_targets():
    encoder, maps = encoder_and_maps("timm:resnet18:untrained", 96)
    chosen = settings(image_size=96, augment="none", batch_size=3, decoder={"crop": 32})
    segmenter = DecoderSegmenter(encoder, maps, chosen, CPU)
    seen = photograph(1)
    pyramid, target, valid = segmenter._pooled_batches([seen], np.random.default_rng(0))()
    vessels, inside = seen.square_targets(96)
    for position in range(3):
        places = [
            (top, left)
            for top in range(0, 65, 32)
            for left in range(0, 65, 32)
            if np.array_equal(vessels[top : top + 32, left : left + 32], target[position, 0].numpy())
            and np.array_equal(inside[top : top + 32, left : left + 32], valid[position, 0].numpy())
        ]
        assert len(places) == 1
        top, left = places[0]
        for level, stride in enumerate(encoder.strides):
            part = maps(seen)[level][:, top // stride : (top + 32) // stride, left // stride : (left + 32) // stride]
            np.testing.assert_array_equal(pyramid[level][position].numpy(), part.astype(np.float32))


@pytest.mark.parametrize(
    "words",
    [
        {"augment": "none"},
        {"augment": "pool"},
        {"augment": "live"},
        {"augment": "live", "finetune": "full", "decoder": {"crop": 64, "encoder_learning_rate": 1e-3}},
    ],
    ids=["stored maps", "pool of views", "live augmented", "fine-tuned"],
)
def test_a_decoder_learns_vessels_from_two_photographs(words):
    encoder, maps = encoder_and_maps("timm:resnet18:untrained", 96)
    before = encoder.state_sha256()
    base = {"image_size": 96, "steps": 40, "batch_size": 6, "decoder": {"crop": 64, "learning_rate": 5e-3}}
    segmenter = DecoderSegmenter(encoder, maps, settings(**(base | words)), CPU)
    assert segmenter.fit([photograph(1), photograph(2)], seed=3).steps == 40
    tested = photograph(9)
    score = segmenter.score(tested).restored()
    assert score.shape == tested.fov.shape
    assert 0 <= score.min() <= score.max() <= 1
    assert roc_auc_score(tested.vessels[tested.fov], score[tested.fov]) > 0.85
    assert encoder.state_sha256() == before  # the encoder under test is never changed


def test_training_is_the_same_to_the_last_bit_whatever_happened_before():
    encoder, maps = encoder_and_maps("timm:resnet18:untrained", 64)
    chosen = settings(image_size=64, steps=3, augment="live", batch_size=2, decoder={"crop": 64})
    scores = []
    for disturbance in (0, 99):
        torch.manual_seed(disturbance)
        np.random.seed(disturbance)
        segmenter = DecoderSegmenter(encoder, maps, chosen, CPU)
        segmenter.fit([photograph(1)], seed=5)
        scores.append(segmenter.score(photograph(2)).values)
    np.testing.assert_array_equal(*scores)
    other = DecoderSegmenter(encoder, maps, chosen, CPU)
    other.fit([photograph(1)], seed=6)
    assert not np.array_equal(other.score(photograph(2)).values, scores[0])


def test_half_precision_of_the_encoder_changes_scores_only_a_little():
    encoder, maps = encoder_and_maps("timm:resnet18:untrained", 64)
    chosen = settings(image_size=64, steps=3, augment="live", batch_size=2, decoder={"crop": 64})
    scores = {}
    for precision in ("float32", "bf16"):
        segmenter = DecoderSegmenter(encoder, maps, chosen, CPU, precision)
        segmenter.fit([photograph(1)], seed=5)
        scores[precision] = segmenter.score(photograph(2)).values
    assert not np.array_equal(scores["float32"], scores["bf16"])
    np.testing.assert_allclose(scores["float32"], scores["bf16"], atol=0.1)


def test_the_scratch_baseline_is_a_segmenter_too():
    segmenter = ScratchSegmenter(settings(scratch={"steps": 2, "batch_size": 2}), CPU)
    assert segmenter.fit([photograph(1)], seed=0).steps == 2
    assert segmenter.score(photograph(2)).restored().shape == (96, 96)


@pytest.mark.parametrize(
    ("channels", "strides"),
    [
        ((64, 128, 256, 512, 1024), (1, 2, 4, 8, 16)),
        ((64, 64, 128, 256, 512), (2, 4, 8, 16, 32)),
        ((96, 192, 384, 768), (4, 8, 16, 32)),
        ((192, 192, 192, 192), (16, 16, 16, 16)),
    ],
)
def test_the_decoder_takes_any_pyramid_at_any_size(channels, strides):
    decoder = VesselDecoder(channels, strides).eval()
    for height, width in ((64, 96), (70, 51)):
        pyramid = [torch.randn(2, c, -(-height // s), -(-width // s)) for c, s in zip(channels, strides, strict=True)]
        assert decoder(pyramid, (height, width)).shape == (2, 1, height, width)


def test_decoders_of_narrow_and_wide_encoders_have_nearly_the_same_size():
    def size(channels):
        projected = VesselDecoder(channels, (2, 4, 8, 16, 32))
        return sum(p.numel() for name, p in projected.named_parameters() if not name.startswith("project"))

    assert size((64, 64, 128, 256, 512)) == size((64, 256, 512, 1024, 2048))


def test_strides_are_spread_so_that_every_map_has_its_own():
    assert spread_strides([16, 16, 16, 16]) == [2, 4, 8, 16]
    assert spread_strides([4, 8, 16, 32]) == [4, 8, 16, 32]
    with pytest.raises(ValueError, match="do not fit"):
        spread_strides([2, 2, 2])
    with pytest.raises(ValueError, match="stride 14"):
        spread_strides([14, 14])


def test_the_loss_is_cross_entropy_and_dice_inside_the_field_of_view():
    logits = torch.tensor([[[[2.0, -1.0, 50.0]]]])
    target = torch.tensor([[[[1.0, 0.0, 0.0]]]])
    valid = torch.tensor([[[[1.0, 1.0, 0.0]]]])  # the third pixel, as wrong as can be, lies outside
    p, q = torch.sigmoid(torch.tensor(2.0)), torch.sigmoid(torch.tensor(-1.0))
    expected = (-torch.log(p) - torch.log(1 - q)) / 2 + 1 - (2 * p + 1) / (p + q + 1 + 1)
    assert segmentation_loss(logits, target, valid).item() == pytest.approx(expected.item(), abs=1e-6)
