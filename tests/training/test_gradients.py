"""Gradients of a batch of one, which some PyTorch versions compute wrongly for InstanceNorm in channels-last order."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from f2vbench.config.parsing import build
from f2vbench.training.settings import TrainSettings
from f2vbench.training.trained_networks import GeneratorNetworks


def _networks(model: str) -> GeneratorNetworks:
    settings = build(TrainSettings, {"model": model, "preset": "mini", "ngf": 4, "ndf": 4})
    return GeneratorNetworks(settings, torch.device("cpu"))


def _outputs(value: object) -> list[Tensor]:
    """All tensors of a nested output, such as that of a multi-scale discriminator."""
    if isinstance(value, Tensor):
        return [value]
    return [tensor for each in value for tensor in _outputs(each)]


def _gradients(network: nn.Module, image: Tensor, batch: int) -> dict[str, Tensor]:
    """Gradients of the mean squared output over a batch of equal images."""
    network.zero_grad()
    outputs = _outputs(network(image.repeat(batch, 1, 1, 1)))
    torch.stack([output.square().sum() / batch for output in outputs]).sum().backward()
    return {
        name: parameter.grad.clone() for name, parameter in network.named_parameters() if parameter.grad is not None
    }


def _largest_difference(network: nn.Module, image: Tensor) -> float:
    """Largest difference between the gradients of one image and of the same image twice, relative to the largest.

    Gradients of biases before a normalisation are rounding. They are compared with 1 % of the network's largest one.
    """
    one, two = _gradients(network, image, 1), _gradients(network, image, 2)
    rounding = 0.01 * max(float(gradient.abs().max()) for gradient in two.values())
    return max(float((one[name] - two[name]).abs().max() / two[name].abs().max().clamp(min=rounding)) for name in one)


@pytest.mark.parametrize("model", ["fundus2video", "fundus2fa", "pix2pixhd"])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_one_image_has_the_gradient_of_the_same_image_twice(model, order):
    torch.manual_seed(0)
    networks = _networks(model)
    for network in filter(None, (networks.generator, networks.discriminator)):
        network.double()
        channels = next(layer.in_channels for layer in network.modules() if isinstance(layer, nn.Conv2d))
        image = torch.randn(1, channels, 64, 64, dtype=torch.float64).contiguous(memory_format=order)
        assert _largest_difference(network, image) < 1e-10


def test_the_check_notices_a_wrong_gradient():
    """A network whose gradient depends on the batch size, as the defect of InstanceNorm does."""

    class Halved(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.batch = len(x)
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient * (0.5 if ctx.batch == 1 else 1.0)

    class Wrong(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution = nn.Conv2d(1, 1, 1)

        def forward(self, x):
            return Halved.apply(self.convolution(x))

    assert _largest_difference(Wrong(), torch.ones(1, 1, 4, 4)) > 0.4
