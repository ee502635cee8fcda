"""SAM2's mask decoder learns vessels on stored maps; its training is reproducible and leaves the encoder as it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch.nn import functional

from f2vbench.adapters.mask_decoder_segmenter import MaskDecoderSegmenter
from f2vbench.config.parsing import build as build_settings
from f2vbench.config.run import RunSettings
from f2vbench.data.photographs import Photograph
from f2vbench.encoders.loading import build
from f2vbench.encoders.model_argument import parse_model
from f2vbench.errors import DataError
from f2vbench.heads.unet_decoder import segmentation_loss
from f2vbench.runner.extraction import encode_squares
from tests.helpers.eyes import eye
from tests.helpers.sam2_files import SIDE, write_hub_folder

pytest.importorskip("transformers", reason="needs transformers: pip install 'f2vbench[sam2]'")

from f2vbench.encoders.sam2_decoder import Sam2Decoder

CPU = torch.device("cpu")
SIZE = 64


def photograph(seed: int) -> Photograph:
    rgb, vessels, fov = eye(seed, 96)
    return Photograph(f"eye{seed}", rgb, fov, f"content {seed}", vessels)


def settings(**values) -> RunSettings:
    return build_settings(RunSettings, {"task": "folder", "image_size": SIZE, **values})


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = write_hub_folder(tmp_path_factory.mktemp("hub") / "tiny")
    return build(parse_model(f"sam2:{folder}")).requires_grad_(False)


def reader(encoder, dtype=np.float16):
    """Maps as the feature store returns them."""

    def read(photo: Photograph) -> list[np.ndarray]:
        arrays = encode_squares(encoder, "pyramid", photo.square(SIDE)[None], CPU, "float32")[0]
        return [array.astype(dtype) for array in arrays.values()]

    return read


def auroc(segmenter: MaskDecoderSegmenter, photo: Photograph) -> float:
    scores = segmenter.score(photo).restored()[0]
    return roc_auc_score(photo.vessels[photo.fov], scores[photo.fov])


def test_the_decoder_learns_vessels_and_the_encoder_does_not_change(encoder):
    before = encoder.state_sha256()
    support = [photograph(1), photograph(2)]
    values = settings(steps=150, batch_size=2, sam2={"learning_rate": 1e-3})
    segmenter = MaskDecoderSegmenter(encoder, reader(encoder), values, CPU)
    segmenter.fit(support, seed=1)
    scores = segmenter.score(support[0])
    assert scores.values.shape == (1, SIZE, SIZE)
    assert 0 <= scores.values.min() < scores.values.max() <= 1
    assert auroc(segmenter, support[0]) > 0.8
    assert encoder.state_sha256() == before


def test_the_same_seed_gives_the_same_scores_and_half_precision_hardly_other_ones(encoder):
    support, values = [photograph(number) for number in range(3)], settings(steps=6, batch_size=2)
    scores = []
    for seed, dtype in ((1, np.float16), (1, np.float16), (2, np.float16), (1, np.float32)):
        segmenter = MaskDecoderSegmenter(encoder, reader(encoder, dtype), values, CPU)
        segmenter.fit(support, seed)
        scores.append(segmenter.score(photograph(9)).values)
    np.testing.assert_array_equal(scores[0], scores[1])
    assert np.abs(scores[0] - scores[2]).max() > 0
    assert np.abs(scores[0] - scores[3]).max() < 2e-3


def test_epochs_pass_over_whole_photographs_and_halve_the_learning_rate(encoder, monkeypatch):
    rates, sizes = [], []
    original_step, original_forward = torch.optim.Adam.step, Sam2Decoder.forward

    def step(self, *arguments):
        rates.append(self.param_groups[0]["lr"])
        return original_step(self, *arguments)

    def forward(self, pyramid, *arguments):
        sizes.append(len(pyramid[0]))
        return original_forward(self, pyramid, *arguments)

    monkeypatch.setattr(torch.optim.Adam, "step", step)
    monkeypatch.setattr(Sam2Decoder, "forward", forward)
    values = settings(epochs=4, batch_size=2, sam2={"halve_every": 2, "learning_rate": 1e-2})
    segmenter = MaskDecoderSegmenter(encoder, reader(encoder), values, CPU)
    assert segmenter.fit([photograph(number) for number in range(3)], seed=1).steps == 8
    assert sizes == [2, 1] * 4
    assert rates == [1e-2] * 4 + [5e-3] * 4


def test_only_layers_after_the_stored_maps_are_trained(encoder):
    decoder = Sam2Decoder(encoder)
    trained = {id(parameter) for parameter in decoder.trained_parameters()}
    names = {name for name, parameter in decoder.named_parameters() if id(parameter) not in trained}
    assert {name.partition(".")[2].partition(".")[0] for name in names if name.startswith("decoder.")} == {
        "conv_s0",
        "conv_s1",
    }
    assert all(not value.requires_grad for name, value in decoder.named_parameters() if name.startswith("prompts."))


def test_the_gradient_of_one_photograph_is_that_of_the_same_photograph_twice(encoder):
    """Some layers of PyTorch have a wrong backward pass on CPUs for a batch of one."""
    maps = [torch.from_numpy(level)[None] for level in reader(encoder, np.float32)(photograph(1))]
    masks, inside = photograph(1).square_targets(SIZE)
    target, valid = torch.from_numpy(masks)[None], torch.from_numpy(inside)[None, None]
    gradients = []
    for copies in (1, 2):
        decoder = Sam2Decoder(encoder).train()
        logits = decoder([level.expand(copies, -1, -1, -1) for level in maps], (SIZE, SIZE))
        segmentation_loss(logits, target.expand_as(logits), valid.expand_as(logits), 2.0).backward()
        gradients.append({name: value.grad for name, value in decoder.named_parameters() if value.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    assert len(gradients[0]) > 50
    largest = max(gradient.abs().max() for gradient in gradients[0].values())
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], atol=1e-3 * float(largest), rtol=1e-3)


def test_the_first_mask_is_the_prediction_in_training_and_in_evaluation(encoder):
    maps = [torch.from_numpy(level)[None] for level in reader(encoder, np.float32)(photograph(1))]
    decoder = Sam2Decoder(encoder)
    with torch.no_grad():
        training, evaluation = (decoder.train(mode)(maps, (SIZE, SIZE)) for mode in (True, False))
    torch.testing.assert_close(training, evaluation)


def test_a_click_is_on_a_vessel_of_each_photograph_and_changes_its_scores(encoder):
    clicks = []
    original = Sam2Decoder.forward

    class Recorded(Sam2Decoder):
        def forward(self, pyramid, size, clicks_=None):
            clicks.append(clicks_)
            return original(self, pyramid, size, clicks_)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("f2vbench.adapters.mask_decoder_segmenter.Sam2Decoder", Recorded)
        scores = {}
        for oracle in (False, True):
            segmenter = MaskDecoderSegmenter(encoder, reader(encoder), settings(steps=3), CPU, oracle_click=oracle)
            segmenter.fit([photograph(1)], seed=1)
            scores[oracle] = [segmenter.score(photograph(2)).values for _ in range(2)]
    assert clicks[:5] == [None] * 5
    vessels = {number: photograph(number).square_targets(SIZE)[0][0] for number in (1, 2)}
    for number, click in zip((1, 1, 1, 2, 2), clicks[5:], strict=True):
        column, row = ((click[0].numpy() + 0.5) / (SIDE / SIZE) - 0.5).round().astype(int)
        assert vessels[number][row, column] > 0
    assert not torch.equal(clicks[5], clicks[6])
    np.testing.assert_array_equal(*scores[True])
    assert np.abs(scores[True][0] - scores[False][0]).max() > 1e-4


def test_a_click_needs_a_vessel(encoder):
    rgb, vessels, fov = eye(1, 96)
    empty = Photograph("empty", rgb, fov, "content", np.zeros_like(vessels))
    segmenter = MaskDecoderSegmenter(encoder, reader(encoder), settings(steps=1), CPU, oracle_click=True)
    with pytest.raises(DataError, match="empty: @oracle-click needs a vessel in the annotation"):
        segmenter.fit([empty], seed=1)


def test_weights_of_the_loss():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 1, 8, 8, generator=generator)
    target = (torch.rand(2, 1, 8, 8, generator=generator) > 0.7).float()
    valid = (torch.rand(2, 1, 8, 8, generator=generator) > 0.2).float()
    inside = valid.bool()
    entropy = functional.binary_cross_entropy_with_logits(logits[inside], target[inside], pos_weight=torch.tensor(2.0))
    torch.testing.assert_close(segmentation_loss(logits, target, valid, 2.0, 0.0), entropy)
    dice_loss = segmentation_loss(logits, target, valid) - segmentation_loss(logits, target, valid, dice_weight=0.0)
    torch.testing.assert_close(segmentation_loss(logits, target, valid, 2.0, 0.5), entropy + 0.5 * dice_loss)
