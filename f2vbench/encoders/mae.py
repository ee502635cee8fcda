"""The transformer encoder of masked autoencoders of photographs.

He et al. 2022, "Masked Autoencoders Are Scalable Vision Learners"; RETFound, Zhou et al. 2023. Tensor names are those
of MAE's, RETFound's and timm's checkpoints: `patch_embed.proj.*`, `cls_token`, `pos_embed`, `blocks.{i}.*`, `norm.*`. A
file may also contain the decoder, `decoder_*` and `mask_token`.
"""

from __future__ import annotations

import functools
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from f2vbench.encoders.spec import INIT_SEED, ModelSpec
from f2vbench.encoders.timm_encoder import Preprocessing, TimmEncoder
from f2vbench.encoders.timm_models import timm
from f2vbench.errors import WeightsError
from f2vbench.pretrained.checkpoints import read_state_dict
from f2vbench.pretrained.state_dicts import TRANSFORMER_NAMES, match_state_dict, without_prefix

PATCH = 16
"""Side of a patch, px."""

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, as in MAE and RETFound: photographs in [0, 1] are normalised with them, in training too."""

LayerNorm = functools.partial(nn.LayerNorm, eps=1e-6)

_DECODER_KEYS = ("decoder_*", "mask_token")
_HUGE_WIDTH = 1280  # ViT-H, the one published encoder whose heads do not have 64 channels


@dataclass(frozen=True)
class TransformerShape:
    """Shape of a vision transformer with patches of 16 px. The defaults are the small one of `preset=mini`.

    Attributes:
        width: Channels, a multiple of 64.
        depth: Number of blocks.
        side: Side of the photographs in its training, px.
    """

    width: int = 192
    depth: int = 12
    side: int = 224

    @property
    def heads(self) -> int:
        """Number of heads: 64 channels each, because a checkpoint does not contain their number."""
        return 16 if self.width == _HUGE_WIDTH else self.width // 64


def vision_transformer(shape: TransformerShape) -> Any:
    """Untrained timm transformer of MAE.

    It has a class token, fixed position embeddings, and norms before attention and MLP and at the end. It accepts
    photographs of any size; position embeddings are interpolated (bicubic).

    Args:
        shape: Its width, depth and image size.
    """
    model = timm.models.VisionTransformer(
        img_size=shape.side,
        patch_size=PATCH,
        embed_dim=shape.width,
        depth=shape.depth,
        num_heads=shape.heads,
        num_classes=0,
        norm_layer=LayerNorm,
        dynamic_img_size=True,
    )
    cells = shape.side // PATCH
    model.pos_embed = nn.Parameter(position_embeddings(shape.width, cells), requires_grad=False)
    return model


def position_embeddings(width: int, cells: int) -> Tensor:
    """Fixed position embeddings: sine and cosine of the column, then of the row, at `width` / 4 wavelengths.

    Args:
        width: Channels, a multiple of 4.
        cells: Rows and columns of the square grid of patches.

    Returns:
        float32 (1, 1 + cells², width), patches row by row; zeros for the class token.
    """
    waves = 10000.0 ** (-torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    angles = torch.arange(cells, dtype=torch.float64)[:, None] * waves
    along = torch.cat([angles.sin(), angles.cos()], 1)
    rows, columns = along[:, None].expand(-1, cells, -1), along[None].expand(cells, -1, -1)
    patches = torch.cat([columns, rows], 2).reshape(cells * cells, width)
    return torch.cat([torch.zeros(1, width), patches.float()])[None]


@torch.no_grad()
def initialise(module: nn.Module, seed: int = INIT_SEED) -> None:
    """Set untrained weights as in MAE.

    Matrices and the patch embedding are Xavier-uniform, tokens N(0, 0.02), norms 1, biases 0. Each tensor has its own
    random stream, seeded with its name, so that an encoder has the same weights alone as with its decoder. The global
    random state and fixed position embeddings do not change.

    Args:
        module: The network.
        seed: Seed of the random streams.
    """
    for name, parameter in module.named_parameters():
        stream = torch.Generator().manual_seed(zlib.crc32(f"{seed} {name}".encode()))
        if name.endswith("pos_embed"):
            continue
        if name.endswith("token"):
            parameter.normal_(0, 0.02, generator=stream)
        elif parameter.ndim == 1:
            parameter.fill_(0.0 if name.endswith("bias") else 1.0)
        else:
            bound = math.sqrt(6 / (parameter.shape[0] + parameter[0].numel()))
            parameter.uniform_(-bound, bound, generator=stream)


def load_mae(spec: ModelSpec) -> TimmEncoder:
    """The encoder of a masked autoencoder, with embeddings and feature maps as `TimmEncoder` has them.

    An embedding is the mean of the patch tokens after the final norm, without the class token, for the photograph at
    the size of training.

    Args: spec: of family `mae`; its `weights` are `untrained` (the small encoder) or a file of `f2vbench train
        model=mae`, of MAE or of RETFound. The file must contain every tensor of the encoder; its decoder is ignored.

    Raises:
        WeightsError: The file is missing, damaged, or contains no such encoder.
    """
    path = spec.weights_file
    state = None if path is None else without_prefix(read_state_dict(path), TRANSFORMER_NAMES, path)
    shape = TransformerShape() if state is None else _shape_in(state, str(path))
    with torch.random.fork_rng(devices=[]):  # timm draws tensors that are overwritten below
        model = vision_transformer(shape)
    if state is None:
        initialise(model)
    else:
        match_state_dict(model, state, str(path), ignore=_DECODER_KEYS)
    return TimmEncoder(spec, model, Preprocessing((shape.side, shape.side), MEAN, STD, interpolation="bicubic"))


def _shape_in(state: Mapping[str, Tensor], path: str) -> TransformerShape:
    """Width, depth and image size of the encoder in a weights file."""
    patches, positions = state.get("patch_embed.proj.weight"), state.get("pos_embed")
    depth = len({key.split(".")[1] for key in state if key.startswith("blocks.")})
    if patches is None or positions is None or positions.ndim != 3 or not depth:
        raise WeightsError(
            f"{path}: no encoder of a masked autoencoder (patch_embed.proj.weight, pos_embed and blocks.*); weights of "
            "a generator are model=fundus2video:<file>, of other transformers model=timm:<name>:<file>"
        )
    cells = math.isqrt(positions.shape[1] - 1)
    width = positions.shape[2]
    if tuple(patches.shape) != (width, 3, PATCH, PATCH) or cells**2 + 1 != positions.shape[1] or width % 64:
        raise WeightsError(
            f"{path}: patch_embed.proj.weight {tuple(patches.shape)} and pos_embed {tuple(positions.shape)} are not "
            f"those of a masked autoencoder: RGB patches of {PATCH} px, a square grid of them after one class token, "
            "and a width that is a multiple of 64"
        )
    return TransformerShape(width, depth, cells * PATCH)
