"""Fusion heads against a loop over images and encoders, and heads in a stack against single heads."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from f2vbench.config.fitting import HeadSettings
from f2vbench.heads.batched_training import HeadData, train_heads
from f2vbench.heads.fusion import Fusion

CPU = torch.device("cpu")


def layer_of(parameters: dict[str, torch.Tensor], name: str) -> tuple[np.ndarray, np.ndarray]:
    return parameters[f"{name}.weight"].double().numpy(), parameters[f"{name}.bias"][0].double().numpy()


@pytest.mark.parametrize("method", ["attention", "mean", "concat"])
def test_fusions_equal_a_loop_over_images(method):
    random = torch.Generator().manual_seed(3)
    head = Fusion([5, 9, 4], method, 6, [7], 3, 0.0)
    parameters = head.initial_parameters(random)
    features = [torch.randn(4, width, generator=random) for width in (5, 9, 4)]
    stacked = {name: tensor[None] for name, tensor in parameters.items()}
    logits = head.logits(stacked, [each[None] for each in features])[0].numpy()

    def layer(name: str, x: np.ndarray) -> np.ndarray:
        weight, bias = layer_of(parameters, name)
        return x @ weight + bias

    for image in range(4):
        projected = [layer(f"project{e}", each[image].double().numpy()) for e, each in enumerate(features)]
        if method == "attention":
            scores = [layer("attend.score", np.tanh(layer("attend.hidden", each)))[0] for each in projected]
            weights = np.exp(scores) / np.exp(scores).sum()
            attention = head.attention(stacked, [each[None] for each in features])[0, image].numpy()
            np.testing.assert_allclose(attention, weights, atol=1e-6)
            joined = sum(w * each for w, each in zip(weights, projected, strict=True))
        else:
            joined = np.mean(projected, axis=0) if method == "mean" else np.concatenate(projected)
        expected = layer("layer1", np.maximum(layer("layer0", joined), 0))
        np.testing.assert_allclose(logits[image], expected, atol=1e-5)


def head_data(seed: int) -> HeadData:
    """Features of two encoders: the first depends on the class, the second is noise."""
    draw = np.random.default_rng(seed)

    def split(n: int) -> tuple[list[torch.Tensor], torch.Tensor]:
        truth = np.arange(n) % 2
        informative = draw.normal(size=(n, 5)) + 2 * truth[:, None]
        noise = draw.normal(size=(n, 8))
        return [torch.tensor(x, dtype=torch.float32) for x in (informative, noise)], torch.tensor(
            truth[:, None] == [0, 1]
        )

    return HeadData(*split(24), *split(20), seed=seed)


def test_fusions_learn_and_have_the_same_bits_in_a_stack_and_alone():
    head = Fusion([5, 8], "attention", 16, [8], 2, 0.2)
    settings = HeadSettings(epochs=30, warmup_epochs=3, learning_rate=1e-2)
    data = [head_data(seed) for seed in range(3)]
    stacked = train_heads(head, data, settings, CPU)
    (alone,) = train_heads(head, data[1:2], settings, CPU)
    for name, tensor in alone.parameters.items():
        assert torch.equal(tensor, stacked[1].parameters[name])
    assert max(filter(None, alone.validation)) > 0.9
