"""SAM2's mask decoder for fine-tuning: from the maps of `Sam2Encoder` to one logit per pixel."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from f2vbench.encoders.sam2 import Sam2Encoder

_FROZEN = ("conv_s0.", "conv_s1.")
_CLICK, _NO_POINT = 1, -1


class Sam2Decoder(nn.Module):
    """A copy of SAM2's mask decoder, whose first mask is the prediction.

    `conv_s0` and `conv_s1` are part of the encoder and not trained. SAM2 replaces an unstable first mask by one of
    three others in evaluation; fine-tuning does not train these, so that here the first mask is always returned.

    Args:
        encoder: Its maps are decoded. It does not change.
    """

    positions: Tensor

    def __init__(self, encoder: Sam2Encoder):
        super().__init__()
        model = encoder.model
        self.decoder = copy.deepcopy(model.mask_decoder).requires_grad_(True)
        self.decoder.dynamic_multimask_via_stability = False
        self.prompts = copy.deepcopy(model.prompt_encoder).requires_grad_(False)
        with torch.no_grad():
            self.register_buffer("positions", model.get_image_wide_positional_embeddings(), persistent=False)

    def trained_parameters(self) -> Iterator[nn.Parameter]:
        """The parameters that fine-tuning changes."""
        return (value for name, value in self.decoder.named_parameters() if not name.startswith(_FROZEN))

    def forward(self, pyramid: Sequence[Tensor], size: tuple[int, int], clicks: Tensor | None = None) -> Tensor:
        """Compute vessel logits.

        Args:
            pyramid: The n × 3 maps of `Sam2Encoder.pyramid`.
            size: (height, width) of the result, which is resized bilinearly from a quarter of the encoder's input.
            clicks: (n, 2) x and y of one positive click in each image, in pixels of the encoder's input; None: no
                prompt.

        Returns:
            (n, 1, *size).
        """
        fine, middle, coarse = pyramid
        with torch.no_grad():
            points = coarse.new_zeros(len(coarse), 1, 1, 2) if clicks is None else clicks[:, None, None].to(coarse)
            kind = _NO_POINT if clicks is None else _CLICK
            labels = torch.full(points.shape[:3], kind, dtype=torch.int32, device=coarse.device)
            sparse, dense = self.prompts(points, labels, None, None)
        masks = self.decoder(
            image_embeddings=coarse,
            image_positional_embeddings=self.positions.expand(len(coarse), -1, -1, -1),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
            high_resolution_features=[fine, middle],
        )[0][:, 0]
        return functional.interpolate(masks, size=size, mode="bilinear", align_corners=False)
