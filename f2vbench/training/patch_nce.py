"""PatchNCE with a knowledge mask.

The generator's own encoder is trained to give similar features to a patch of the generated frames and the patch at
the same position of the photograph (UP) or of the true frames (SP), and different features to other positions.

Park et al. 2020 (CUT), eq. 2; MICCAI paper, eqs. 2 to 4. The setting ``loss.nce_patches`` has three uses of the mask:

- ``masked-input``: images are multiplied by the mask first (the papers). Patches outside it become nearly equal, so
  that negatives equal positives there; an all-zero mask gives ln 256 and no useful gradient.
- ``in-mask``: images are not changed, and patches are drawn inside the mask.
- ``everywhere``: no mask, plain PatchNCE.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from f2vbench.encoders.global_generator import GlobalGenerator, window_input
from f2vbench.encoders.model_family import GeneratorShape
from f2vbench.training.generator_features import forward_layers, nce_layers

TEMPERATURE = 0.07
PATCHES = 256
_MINIMUM_PATCHES = 16  # fewer patches inside the mask give hardly any negatives


class ProjectionHeads(nn.Module):
    """A two-layer MLP for each compared layer, which projects patch features (Park et al. 2020, CUT).

    Args:
        channels: Of each compared map.
        width: Of the projections.
    """

    def __init__(self, channels: Sequence[int], width: int = 256):
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(count, width), nn.ReLU(), nn.Linear(width, width)) for count in channels
        )

    def forward(self, layer: int, patches: Tensor) -> Tensor:
        """Project patch features to unit length.

        Args:
            layer: Position of the map among the compared ones, from 0.
            patches: (n, channels).

        Returns:
            float32 (n, width), each row of length 1.
        """
        return functional.normalize(self.heads[layer](patches).float(), dim=1)


def nce_channels(shape: GeneratorShape) -> list[int]:
    """Channels of the maps of `nce_layers`."""
    return [shape.input_channels, *shape.widths[1:]]


def patch_nce(query: Tensor, key: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Cross-entropy of identifying the key of each query among all keys of the same image.

    Args:
        query: (patches, width), rows of length 1.
        key: As ``query``; row i is the same position. It receives no gradient.
        temperature: Of the softmax.

    Returns:
        A scalar.
    """
    with torch.autocast(query.device.type, enabled=False):
        similarity = query @ key.detach().T / temperature
    return functional.cross_entropy(similarity, torch.arange(len(query), device=query.device))


class PatchSampler:
    """Draws positions of patches without replacement.

    Args:
        mask: (n, 1, h, w), where to draw, or None for everywhere. In a smaller map a position is inside if any of its
            pixels is; in the padded map of layer 0 the padding is outside. Positions of an image with fewer than 16
            of them inside are drawn everywhere.
        patches: Largest number of positions in an image.
    """

    def __init__(self, mask: Tensor | None = None, patches: int = PATCHES):
        self._mask = mask
        self._patches = patches
        self._inside: dict[tuple[int, int], list[np.ndarray]] = {}

    def draw(self, height: int, width: int, rngs: Sequence[np.random.Generator]) -> list[np.ndarray]:
        """Flat indices into maps of a size.

        Args:
            height: Of the map.
            width: Of the map.
            rngs: The random numbers of each image.

        Returns:
            For each image an int64 array of its positions.
        """
        drawn = []
        for image, rng in enumerate(rngs):
            inside = None if self._mask is None else self._positions_inside(self._mask, height, width)[image]
            if inside is None or len(inside) < _MINIMUM_PATCHES:
                drawn.append(rng.choice(height * width, min(self._patches, height * width), replace=False))
            else:
                drawn.append(rng.choice(inside, min(self._patches, len(inside)), replace=False))
        return drawn

    def _positions_inside(self, mask: Tensor, height: int, width: int) -> list[np.ndarray]:
        """Flat indices inside the mask, for each image; stored, because the windows of a video share its mask."""
        if (height, width) not in self._inside:
            mask_height, mask_width = mask.shape[-2:]
            if height >= mask_height and width >= mask_width:
                top, left = (height - mask_height) // 2, (width - mask_width) // 2
                padding = (left, width - mask_width - left, top, height - mask_height - top)
                resized = functional.pad(mask, padding)
            else:
                resized = functional.adaptive_max_pool2d(mask, (height, width))
            self._inside[height, width] = [np.flatnonzero(image) for image in resized.flatten(1).cpu().numpy()]
        return self._inside[height, width]


def patch_nce_losses(
    generator: GlobalGenerator,
    heads: ProjectionHeads,
    fake: Tensor,
    keys: Sequence[Tensor],
    sampler: PatchSampler,
    rngs: Sequence[np.random.Generator],
    multiply: Tensor | None = None,
) -> list[Tensor]:
    """Mean PatchNCE over layers and images, for each kind of key.

    The generated frames are encoded once, with gradients; all keys are encoded in one batch, without. Each layer and
    image draws the same positions for all kinds of key.

    Args:
        generator: Its first layers encode the images, which are repeated to fill its input channels.
        heads: Projection heads of the compared layers.
        fake: (n, c, h, w), the generated frames.
        keys: Images of the same size: the photograph for UP, the true frames for SP.
        sampler: Draws the positions.
        rngs: The random numbers of each image.
        multiply: (n, 1, h, w), the mask of ``masked-input``, or None.

    Returns:
        A scalar for each kind of key.
    """
    layers = nce_layers(generator.shape)
    encoder = generator[: layers[-1] + 1]
    images = [fake, *keys]
    if multiply is not None:
        images = [image * multiply for image in images]
    images = [window_input(_three_channels(image), shape=generator.shape) for image in images]
    # With gradients first: autocast caches cast weights, and those cast without gradients would have none.
    _, query_maps = forward_layers(encoder, images[0], layers)
    with torch.no_grad():
        _, key_maps = forward_layers(encoder, torch.cat(images[1:]), layers)
    count = len(fake)
    losses: list[list[Tensor]] = [[] for _ in keys]
    for position, layer in enumerate(layers):
        height, width = query_maps[layer].shape[-2:]
        for image, drawn in enumerate(sampler.draw(height, width, rngs)):
            indices = torch.from_numpy(drawn).to(fake.device)
            query = heads(position, _patch_features(query_maps[layer][image], indices))
            for kind, kind_losses in enumerate(losses):
                with torch.no_grad():
                    key = heads(position, _patch_features(key_maps[layer][kind * count + image], indices))
                kind_losses.append(patch_nce(query, key))
    return [torch.stack(kind_losses).mean() for kind_losses in losses]


def _patch_features(features: Tensor, indices: Tensor) -> Tensor:
    """(c, h, w) at flat indices → (indices, c)."""
    return features.flatten(1).index_select(1, indices).T


def _three_channels(image: Tensor) -> Tensor:
    """A photograph or frames with three channels; a single frame is repeated."""
    return image if image.shape[1] == 3 else image.expand(-1, 3, -1, -1)
