"""The second half of a pix2pixHD generator as a vessel decoder: its trained layers with a new output layer."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from f2vbench.encoders.global_generator import SkipState
from f2vbench.encoders.pix2pixhd import Pix2PixHDEncoder
from f2vbench.errors import SettingsError

_OUTPUT_LAYERS = 3  # padding, convolution and tanh


class GeneratorDecoder(nn.Module):
    """Decoder from the feature maps of a generator to one vessel logit per pixel.

    It continues where the encoder ends: the remaining residual blocks and the upsampling layers, with the generator's
    skips, are copies of the generator's; a 7 × 7 convolution of their last map replaces the output layer. Of the maps
    of a whole generator (`cut=whole`) it receives those of the first half; the generated frames are further inputs of
    the new output layer.

    Args:
        encoder: Its maps are decoded. It does not change.

    Raises:
        SettingsError: The generator's skips start at maps that are finer than the photograph, which an encoder leaves
            out.
    """

    def __init__(self, encoder: Pix2PixHDEncoder):
        super().__init__()
        self._shape, self._enlarge, self._first_layer = encoder.shape, encoder.enlarge, len(encoder.model)
        if self._shape.skips != "none" and self._enlarge > 1:
            raise SettingsError(
                f"{encoder.spec.name}: its skips start at maps {self._enlarge} times as fine as the photograph, which "
                "an encoder leaves out, so that decoder=generator is not possible; use decoder=unet"
            )
        self._frames = encoder.output_maps if encoder.is_whole else 0
        self.layers = cast(nn.Sequential, copy.deepcopy(encoder.second_part())[:-_OUTPUT_LAYERS]).requires_grad_(True)
        output = nn.Conv2d(self._shape.ngf + self._frames, 1, 7)
        self.head = nn.Sequential(nn.ReflectionPad2d(3), output)

    def pretrained_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters of the generator's layers."""
        return self.layers.parameters()

    def new_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters of the output layer."""
        return self.head.parameters()

    def forward(self, pyramid: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """Compute vessel logits.

        Args:
            pyramid: Maps of the encoder, finest first.
            size: Height and width of the output.

        Returns:
            (n, 1, *size).
        """
        skips, x = SkipState(self._shape), pyramid[-1]
        for end, width, features in zip(self._shape.down_ends, self._shape.widths, pyramid[:-1], strict=False):
            skips.after(end - 1, features[:, :width])
        for index, layer in enumerate(self.layers, start=self._first_layer):
            x = skips.after(index, layer(x))
        if self._enlarge > 1:
            x = functional.avg_pool2d(x, self._enlarge)
        x = x[..., : size[0], : size[1]]
        if self._frames:
            x = torch.cat([x, pyramid[0][:, -self._frames :]], 1)
        return cast(Tensor, self.head(x))
