"""Fusion heads against a loop over images and encoders, and stacked against alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from f2vbench.config.run import HeadSettings
from f2vbench.heads.batched_training import Lesson, train
from f2vbench.heads.fusion import Fusion

CPU = torch.device("cpu")


def numbers(parameters: dict[str, torch.Tensor], name: str) -> tuple[np.ndarray, np.ndarray]:
    return parameters[f"{name}.weight"].double().numpy(), parameters[f"{name}.bias"][0].double().numpy()


@pytest.mark.parametrize("how", ["attention", "mean", "concat"])
def test_a_fusion_is_what_it_says_image_by_image(how):
    random = torch.Generator().manual_seed(3)
    head = Fusion([5, 9, 4], how, 6, [7], 3, 0.0)
    parameters = head.initial(random)
    features = [torch.randn(4, width, generator=random) for width in (5, 9, 4)]
    stacked = {name: tensor[None] for name, tensor in parameters.items()}
    found = head.logits(stacked, [each[None] for each in features])[0].numpy()

    def layer(name: str, x: np.ndarray) -> np.ndarray:
        weight, bias = numbers(parameters, name)
        return x @ weight + bias

    for image in range(4):
        projected = [layer(f"project{e}", each[image].double().numpy()) for e, each in enumerate(features)]
        if how == "attention":
            scores = [layer("attend.score", np.tanh(layer("attend.hidden", each)))[0] for each in projected]
            weights = np.exp(scores) / np.exp(scores).sum()
            told = head.attention(stacked, [each[None] for each in features])[0, image].numpy()
            np.testing.assert_allclose(told, weights, atol=1e-6)
            joined = sum(w * each for w, each in zip(weights, projected, strict=True))
        else:
            joined = np.mean(projected, axis=0) if how == "mean" else np.concatenate(projected)
        expected = layer("layer1", np.maximum(layer("layer0", joined), 0))
        np.testing.assert_allclose(found[image], expected, atol=1e-5)


def lesson(seed: int) -> Lesson:
    """The first encoder tells the class, the second is noise."""
    draw = np.random.default_rng(seed)

    def part(n: int) -> tuple[list[torch.Tensor], torch.Tensor]:
        truth = np.arange(n) % 2
        telling = draw.normal(size=(n, 5)) + 2 * truth[:, None]
        noise = draw.normal(size=(n, 8))
        return [torch.tensor(x, dtype=torch.float32) for x in (telling, noise)], torch.tensor(truth[:, None] == [0, 1])

    return Lesson(*part(24), *part(20), seed=seed)


def test_stacked_fusions_are_the_same_bits_as_alone_and_learn():
    head = Fusion([5, 8], "attention", 16, [8], 2, 0.2)
    settings = HeadSettings(epochs=30, warmup_epochs=3, learning_rate=1e-2)
    lessons = [lesson(seed) for seed in range(3)]
    together = train(head, lessons, settings, CPU)
    (alone,) = train(head, lessons[1:2], settings, CPU)
    for name, tensor in alone.parameters.items():
        assert torch.equal(tensor, together[1].parameters[name])
    assert max(filter(None, alone.validation)) > 0.9
