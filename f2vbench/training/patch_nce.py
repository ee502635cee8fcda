"""PatchNCE with a knowledge mask: a patch of the generated frames and the patch at the same place of the photograph
(UP) or of the true frames (SP) are to look alike to the generator's own encoder, other places of the image are not.

Park et al. 2020 (CUT), eq. 2; MICCAI paper, eqs. 2 to 4. Three ways of using the mask, by the words of the settings:

- ``masked-input``: images are multiplied by it first (the papers). Patches outside it become nearly the same, so that
  negatives equal positives there; an all-zero mask gives ln 256 and no gradient of use.
- ``in-mask``: images stay whole, and patches are drawn inside the mask.
- ``everywhere``: no mask, the plain PatchNCE.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from f2vbench.training.discriminator import NCE_LAYERS, ProjectionHeads, forward_layers

TEMPERATURE = 0.07
PATCHES = 256
_FEW = 16  # with fewer patches inside the mask, there are hardly any negatives


def patch_nce(query: Tensor, key: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Cross-entropy of telling a patch's counterpart from the other patches of the same image.

    Args:
        query, key: (patches, width), of length 1; row i of both is the same place. The key gets no gradient.
    """
    with torch.autocast(query.device.type, enabled=False):
        likeness = query @ key.detach().T / temperature
    return functional.cross_entropy(likeness, torch.arange(len(query), device=query.device))


class PatchSampler:
    """Draws the places where images' patches are compared, without repetition.

    Args:
        mask: (n, 1, h, w); where to draw, or None for everywhere. In a smaller map a place counts as inside when any of
            its pixels is; in the padded map of layer 0 the padding counts as outside. An image with fewer than 16
            places inside is drawn from everywhere.
        patches: how many places of an image, at most.
    """

    def __init__(self, mask: Tensor | None = None, patches: int = PATCHES):
        self._mask = mask
        self._patches = patches
        self._inside: dict[tuple[int, int], list[np.ndarray]] = {}

    def draw(self, height: int, width: int, rngs: Sequence[np.random.Generator]) -> list[np.ndarray]:
        """Flat indices into a map of this size, for each image with its own random numbers."""
        chosen = []
        for image, rng in enumerate(rngs):
            places = None if self._mask is None else self._places(self._mask, height, width)[image]
            if places is None or len(places) < _FEW:
                chosen.append(rng.choice(height * width, min(self._patches, height * width), replace=False))
            else:
                chosen.append(rng.choice(places, min(self._patches, len(places)), replace=False))
        return chosen

    def _places(self, mask: Tensor, height: int, width: int) -> list[np.ndarray]:
        """Flat indices of the places inside, for each image; kept, because a video's windows share its mask."""
        if (height, width) not in self._inside:
            tall, wide = mask.shape[-2:]
            if height >= tall and width >= wide:
                top, left = (height - tall) // 2, (width - wide) // 2
                fitted = functional.pad(mask, (left, width - wide - left, top, height - tall - top))
            else:
                fitted = functional.adaptive_max_pool2d(mask, (height, width))
            self._inside[height, width] = [np.flatnonzero(image) for image in fitted.flatten(1).cpu().numpy()]
        return self._inside[height, width]


def patch_nce_losses(
    generator: nn.Sequential,
    heads: ProjectionHeads,
    fake: Tensor,
    keys: Sequence[Tensor],
    sampler: PatchSampler,
    rngs: Sequence[np.random.Generator],
    multiply: Tensor | None = None,
) -> list[Tensor]:
    """Mean PatchNCE over layers and images, for each kind of key.

    The generated frames are encoded once, with gradients; all keys in one batch, without. Every layer and image draws
    the same places for all kinds of key.

    Args:
        generator: whose front part encodes; images fill its six channels by being given twice.
        fake: (n, c, h, w), the queries.
        keys: images of the same size: the photograph for UP, the true frames for SP.
        rngs: one an image.
        multiply: (n, 1, h, w), the mask of ``masked-input``.
    """
    encoder = cast(nn.Sequential, generator[: NCE_LAYERS[-1] + 1])
    channels = next(layer.in_channels for layer in encoder if isinstance(layer, nn.Conv2d))
    images = [_to_channels(image, channels) for image in (fake, *keys)]
    if multiply is not None:
        images = [image * multiply for image in images]
    # With gradients first: autocast keeps the weights it has cast, and those cast without gradients would have none.
    _, maps = forward_layers(encoder, images[0], NCE_LAYERS)
    with torch.no_grad():
        _, key_maps = forward_layers(encoder, torch.cat(images[1:]), NCE_LAYERS)
    count = len(fake)
    losses: list[list[Tensor]] = [[] for _ in keys]
    for position, layer in enumerate(NCE_LAYERS):
        height, width = maps[layer].shape[-2:]
        for image, chosen in enumerate(sampler.draw(height, width, rngs)):
            places = torch.from_numpy(chosen).to(fake.device)
            query = heads(position, _patches(maps[layer][image], places))
            for kind, told in enumerate(losses):
                with torch.no_grad():
                    key = heads(position, _patches(key_maps[layer][kind * count + image], places))
                told.append(patch_nce(query, key))
    return [torch.stack(told).mean() for told in losses]


def _patches(features: Tensor, places: Tensor) -> Tensor:
    """(c, h, w) at flat indices → (places, c)."""
    return features.flatten(1).index_select(1, places).T


def _to_channels(image: Tensor, channels: int) -> Tensor:
    """A photograph or frames, repeated until they fill the generator's input."""
    return image.repeat(1, channels // image.shape[1], 1, 1)
