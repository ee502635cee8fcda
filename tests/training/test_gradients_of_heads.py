"""Gradients of one image equal those of the same image twice, for every trained network that is not a generator's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from f2vbench.encoders.mae import TransformerShape
from f2vbench.heads.mlp import Mlp
from f2vbench.heads.scratch_unet import ScratchUNet
from f2vbench.heads.unet_decoder import UNetDecoder
from f2vbench.training.masked_autoencoder import MaskedAutoencoder
from f2vbench.training.patch_nce import ProjectionHeads

ORDERS = [torch.contiguous_format, torch.channels_last]


def _differ(network: nn.Module, run: Callable[[int], Tensor]) -> float:
    """Largest relative difference between the gradients of one image and of the same image twice.

    Args:
        network: The network, in training mode.
        run: Batch size → output for that many equal images.
    """
    for module in network.modules():
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            module.p = 0.0  # its masks would differ between the two batches
    gradients = []
    for batch in (1, 2):
        network.zero_grad()
        (run(batch).square().sum() / batch).backward()
        gradients.append([p.grad.clone() for p in network.parameters() if p.grad is not None])
    assert gradients[0]
    largest = max(float(two.abs().max()) for two in gradients[1])
    return max(float((one - two).abs().max()) for one, two in zip(*gradients, strict=True)) / largest


def _random(*shape: int, order: torch.memory_format = torch.contiguous_format) -> Tensor:
    return torch.randn(shape, dtype=torch.float64).contiguous(memory_format=order)


@pytest.mark.parametrize("order", ORDERS)
def test_the_scratch_unet(order):
    torch.manual_seed(0)
    network = ScratchUNet((4, 8, 8, 8)).double().train()
    image = _random(1, 3, 64, 64, order=order)
    assert _differ(network, lambda batch: network(image.repeat(batch, 1, 1, 1))) < 1e-9


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("strides", [(1, 2, 4, 8, 16), (16, 16, 16, 16)])
def test_the_unet_decoder(order, strides):
    torch.manual_seed(0)
    network = UNetDecoder([4] * len(strides), strides).double().train()
    maps = [_random(1, 4, 64 // stride, 64 // stride, order=order) for stride in strides]
    assert _differ(network, lambda batch: network([m.repeat(batch, 1, 1, 1) for m in maps], (64, 64))) < 1e-9


def test_the_heads_of_patch_nce():
    torch.manual_seed(0)
    network = ProjectionHeads([4, 8], 16).double().train()
    patches = _random(1, 5, 4)
    assert _differ(network, lambda batch: network(0, patches.repeat(batch, 1, 1))) < 1e-9


@pytest.mark.parametrize("order", ORDERS)
def test_the_masked_autoencoder(order):
    torch.manual_seed(0)
    network = MaskedAutoencoder(TransformerShape(width=64, depth=2, side=64), 32, 1).double().train()
    image, visible = _random(1, 3, 64, 64, order=order), torch.arange(8)[None]
    assert _differ(network, lambda batch: network(image.repeat(batch, 1, 1, 1), visible.repeat(batch, 1))) < 1e-9


def test_the_classification_head():
    head = Mlp(6, [8], 3, dropout=0.0)
    features = _random(1, 1, 6)
    gradients = []
    for batch in (1, 2):
        drawn = head.initial_parameters(torch.Generator().manual_seed(0))
        parameters = {name: tensor.double()[None].requires_grad_() for name, tensor in drawn.items()}
        (head.logits(parameters, [features.repeat(1, batch, 1)]).square().sum() / batch).backward()
        gradients.append(parameters)
    for name in gradients[0]:
        torch.testing.assert_close(gradients[0][name].grad, gradients[1][name].grad, rtol=1e-9, atol=1e-12)
