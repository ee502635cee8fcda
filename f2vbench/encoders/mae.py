"""Masked autoencoders of photographs (He et al. 2022, "Masked Autoencoders Are Scalable Vision Learners"; RETFound,
Zhou et al. 2023): the transformer that is their encoder.

Keys are those of MAE's, RETFound's and timm's checkpoints: ``patch_embed.proj.*``, ``cls_token``, ``pos_embed``,
``blocks.{i}.*``, ``norm.*``; beside them a file may hold the decoder, ``decoder_*`` and ``mask_token``.
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
from f2vbench.encoders.timm_models import Sight, TimmEncoder, timm
from f2vbench.errors import WeightsError
from f2vbench.pretrained.checkpoints import read_state_dict
from f2vbench.pretrained.state_dicts import match_state_dict

PATCH = 16
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet, as in MAE and RETFound: what photographs in [0, 1] are normalised with, in training too."""

LayerNorm = functools.partial(nn.LayerNorm, eps=1e-6)

_DECODER_KEYS = ("decoder_*", "mask_token")
_HUGE = 1280  # ViT-H, the one published encoder whose heads are not 64 channels wide


@dataclass(frozen=True)
class TransformerShape:
    """A vision transformer of patches of 16 px; the defaults are the small one of ``preset=mini``.

    Attributes:
        width: channels, a multiple of 64.
        depth: blocks.
        side: of the photographs it was trained on, px.
    """

    width: int = 192
    depth: int = 12
    side: int = 224

    @property
    def heads(self) -> int:
        """Heads are 64 channels wide, so that a checkpoint, which does not hold their number, tells it."""
        return 16 if self.width == _HUGE else self.width // 64


def vision_transformer(shape: TransformerShape) -> Any:
    """timm's transformer of MAE: class token, fixed position embeddings, norms before attention and MLP, and at the
    end. Takes photographs of any size; position embeddings are interpolated (bicubic)."""
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
    """Sine and cosine of column, then of row, at ``width`` / 4 wavelengths; zeros for the class token.

    Returns:
        float32 (1, 1 + cells², width), rows of patches after one another.
    """
    waves = 10000.0 ** (-torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    angles = torch.arange(cells, dtype=torch.float64)[:, None] * waves
    along = torch.cat([angles.sin(), angles.cos()], 1)
    rows, columns = along[:, None].expand(-1, cells, -1), along[None].expand(cells, -1, -1)
    patches = torch.cat([columns, rows], 2).reshape(cells * cells, width)
    return torch.cat([torch.zeros(1, width), patches.float()])[None]


@torch.no_grad()
def initialise(module: nn.Module, seed: int = INIT_SEED) -> None:
    """Untrained weights as in MAE: Xavier-uniform matrices (the patch embedding is one), tokens N(0, 0.02), norms 1,
    biases 0. Each tensor has a random stream of its own name, so an encoder gets the same weights alone as with its
    decoder; the global random state is untouched, and so are fixed position embeddings.
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
    """The encoder of a masked autoencoder; embeddings and maps as `TimmEncoder` has them for plain transformers.

    An embedding is the mean of the patch tokens after the final norm, without the class token, of the photograph at
    the size of training.

    Args:
        spec: of family ``mae``; weights ``untrained`` (the small one) or a file of `f2vbench train model=mae`, of MAE
            or of RETFound. Every tensor of the encoder must be there; a decoder is left aside.

    Raises:
        WeightsError: the file is missing, damaged, or holds no such encoder.
    """
    path = spec.weights_file
    state = None if path is None else read_state_dict(path)
    shape = TransformerShape() if state is None else _shape_in(state, str(path))
    with torch.random.fork_rng(devices=[]):  # timm fills tensors that are overwritten below
        model = vision_transformer(shape)
    if state is None:
        initialise(model)
    else:
        match_state_dict(model, state, str(path), ignore=_DECODER_KEYS)
    return TimmEncoder(spec, model, Sight((shape.side, shape.side), MEAN, STD, interpolation="bicubic"))


def _shape_in(state: Mapping[str, Tensor], path: str) -> TransformerShape:
    """Width, depth and size of training of the encoder in a weights file."""
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
            f"those of a masked autoencoder: patches of {PATCH} px of RGB, a square of them after one class token, and "
            "a width that is a multiple of 64"
        )
    return TransformerShape(width, depth, cells * PATCH)
