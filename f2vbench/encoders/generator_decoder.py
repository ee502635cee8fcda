"""The second half of a pix2pixHD generator as a segmentation decoder: its trained layers with a new output layer."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from f2vbench.encoders.global_generator import SkipState
from f2vbench.encoders.pix2pixhd import OUTPUT_LAYERS, Pix2PixHDEncoder
from f2vbench.encoders.vessel_scores import VESSEL, truth_positions
from f2vbench.errors import SettingsError

_OUTPUT_SIDE = 7  # px, of the kernel of the output layer


class GeneratorDecoder(nn.Module):
    """Decoder from the feature maps of a generator to one logit per class and pixel.

    It continues where the encoder ends: the remaining residual blocks and the upsampling layers, with the generator's
    skips, are copies of the generator's; a 7 × 7 convolution of their last map replaces the output layer. Of the maps
    of a whole generator (`cut=whole`) it receives those of the first half; the generated frames are further inputs of
    the new output layer.

    A generator that was trained to predict the simulator's truth keeps that layer for classes that it predicts: before
    training, their new output layer is zero and the logit is that of the generator; of the class ``vessel`` that of
    either vessel, log(exp(artery) + exp(vein)).

    Args:
        encoder: Its maps are decoded. It does not change.
        classes: Names of the classes.

    Raises:
        SettingsError: The generator's skips start at maps that are finer than the photograph, which an encoder leaves
            out.
    """

    def __init__(self, encoder: Pix2PixHDEncoder, classes: Sequence[str] = (VESSEL,)):
        super().__init__()
        self._shape, self._enlarge, self._first_layer = encoder.shape, encoder.enlarge, len(encoder.model)
        if self._shape.skips != "none" and self._enlarge > 1:
            raise SettingsError(
                f"{encoder.spec.name}: its skips start at maps {self._enlarge} times as fine as the photograph, which "
                "an encoder leaves out, so that decoder=generator is not possible; use decoder=unet"
            )
        self._frames = encoder.output_maps if encoder.is_whole else 0
        self.layers = cast(nn.Sequential, copy.deepcopy(encoder.second_part())[:-OUTPUT_LAYERS]).requires_grad_(True)
        self._groups = _groups(encoder, classes)
        positions = [position for group in self._groups for position in group]
        self.truth = _truth_layer(encoder, positions) if positions else None
        output = nn.Conv2d(self._shape.ngf + self._frames, len(classes), _OUTPUT_SIDE)
        if self.truth is not None:
            known = [number for number, group in enumerate(self._groups) if group]
            with torch.no_grad():
                output.weight[known] = 0
                cast(nn.Parameter, output.bias)[known] = 0
        self.head = nn.Sequential(nn.ReflectionPad2d(_OUTPUT_SIDE // 2), output)

    def pretrained_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters of the generator's layers."""
        yield from self.layers.parameters()
        if self.truth is not None:
            yield from self.truth.parameters()

    def new_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters of the output layer."""
        return self.head.parameters()

    def forward(self, pyramid: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """Compute logits.

        Args:
            pyramid: Maps of the encoder, finest first.
            size: Height and width of the output.

        Returns:
            (n, classes, *size).
        """
        skips, x = SkipState(self._shape), pyramid[-1]
        for end, width, features in zip(self._shape.down_ends, self._shape.widths, pyramid[:-1], strict=False):
            skips.after(end - 1, features[:, :width])
        for index, layer in enumerate(self.layers, start=self._first_layer):
            x = skips.after(index, layer(x))
        if self._enlarge > 1:
            x = functional.avg_pool2d(x, self._enlarge)
        x = x[..., : size[0], : size[1]]
        inputs = torch.cat([x, pyramid[0][:, -self._frames :]], 1) if self._frames else x
        logits = cast(Tensor, self.head(inputs))
        return logits if self.truth is None else logits + self._truth_logits(x)

    def _truth_logits(self, x: Tensor) -> Tensor:
        """The logits of the generator, (n, classes, h, w); 0 for classes that it does not predict."""
        predicted = cast(nn.Module, self.truth)(x)
        logits, start = [], 0
        for group in self._groups:
            own = predicted[:, start : start + len(group)]
            logits.append(own.logsumexp(1, keepdim=True) if group else torch.zeros_like(predicted[:, :1]))
            start += len(group)
        return torch.cat(logits, 1)


def _groups(encoder: Pix2PixHDEncoder, classes: Sequence[str]) -> list[tuple[int, ...]]:
    """For each class the positions of the classes that the generator predicts of it; empty for frames alone."""
    if encoder.truth_weight is not None:
        predicted = len(encoder.truth_weight)
    else:
        predicted = encoder.shape.outputs if encoder.spec.predicts_vessels else 0
    groups = (truth_positions(name) for name in classes)
    return [group if all(position < predicted for position in group) else () for group in groups]


def _truth_layer(encoder: Pix2PixHDEncoder, positions: list[int]) -> nn.Module:
    """The logits of classes of the truth from the last feature map of the first window."""
    if encoder.truth_weight is not None and encoder.truth_bias is not None:
        weight, bias = encoder.truth_weight[positions].float(), encoder.truth_bias[positions].float()
        if encoder.time is not None:  # its scales and offsets of the channels join the linear layer
            scale, offset = encoder.time[0].float()
            bias = bias + weight[..., 0, 0] @ offset
            weight = weight * scale.exp()[:, None, None]
        return _convolution(weight, bias)
    output = cast(nn.Conv2d, encoder.second_part()[-2])
    # The tanh maps a value z to 2 σ(2 z) − 1, so 2 z is the logit of the probability (output + 1) / 2.
    weight, bias = (2 * part[positions].float() for part in (output.weight, cast(Tensor, output.bias)))
    return nn.Sequential(nn.ReflectionPad2d(_OUTPUT_SIDE // 2), _convolution(weight, bias))


def _convolution(weight: Tensor, bias: Tensor) -> nn.Conv2d:
    """A convolution with copies of these parameters."""
    outputs, inputs, height, width = weight.shape
    layer = nn.Conv2d(inputs, outputs, (height, width), device=weight.device)
    with torch.no_grad():
        layer.weight.copy_(weight)
        cast(nn.Parameter, layer.bias).copy_(bias)
    return layer
