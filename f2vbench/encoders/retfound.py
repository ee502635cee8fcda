"""RETFound and RETFound-Green: their released files, every layout of them, in timm's transformers.

RETFound (Zhou et al., Nature 622, 2023) is a ViT-L: MAE files hold an encoder, a decoder and the optimiser's state
below ``model``, ``optimizer``, …; DINOv2 files the teacher of a training below ``teacher``, with heads. RETFound-Green
(Engelmann and Bernabeu, Nature Communications 2025) is a ViT-S with registers in a bare state dict.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from f2vbench.encoders.model_family import UNTRAINED
from f2vbench.encoders.registry import FAMILIES
from f2vbench.encoders.spec import ModelSpec
from f2vbench.encoders.timm_models import Sight, TimmEncoder, initial_seed, timm
from f2vbench.errors import WeightsError
from f2vbench.pretrained.checkpoints import read_state_dict
from f2vbench.pretrained.hub import fetch_weights
from f2vbench.pretrained.state_dicts import load_in_parts
from f2vbench.pretrained.weights_cards import weights_card

_GREEN = "retfound-green"
_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
_RETFOUND_SIGHT = Sight((224, 224), **_IMAGENET, interpolation="bicubic", shorter_side=256, framed=True)
_GREEN_SIGHT = Sight((392, 392), (0.5,) * 3, (0.5,) * 3, interpolation="bilinear", framed=True)
_TEACHER, _BACKBONE = "teacher.", "backbone."
_CHUNKED_BLOCK = re.compile(r"^blocks\.\d+\.(\d+)\.")


@dataclass(frozen=True)
class Layout:
    """One kind of released file.

    Attributes:
        architecture: timm's name of the network.
        sight: what the network is shown of a photograph.
        ignore: patterns of what the file holds beside the encoder.
        class_position: whether the class token has a position embedding (the first one).
    """

    architecture: str
    sight: Sight
    ignore: tuple[str, ...]
    class_position: bool = True


MAE = Layout("vit_large_patch16_224", _RETFOUND_SIGHT, ("mask_token", "decoder_*", "head.*"))
DINOV2 = Layout("vit_large_patch14_dinov2", _RETFOUND_SIGHT, ("mask_token", "dino_head.*", "ibot_head.*"))
GREEN_LAYOUT = Layout("vit_small_patch14_reg4_dinov2", _GREEN_SIGHT, ("mask_token", "head.*"), class_position=False)


def load_retfound(spec: ModelSpec, **size: Any) -> TimmEncoder:
    """A model of family ``retfound`` or ``retfound-green``.

    Its embedding is the mean of the patch tokens after the final norm; ``fc_norm``, which RETFound's fine-tuning puts
    in that norm's place, is untrained in the released weights and not used. Whether a file of one's own is of the MAE
    or the DINOv2 kind is seen from its keys. No more than the encoder's own memory and 256 MiB is needed to load it,
    however much else the file holds, unless its format can't be mapped (PyTorch's before 1.6).

    Args:
        spec: weights ``released`` (from this machine, or else the Hub), ``untrained``, or a file.
        size: of timm's network where it is not the released one, as ``embed_dim``, ``depth``, ``num_heads``.

    Raises:
        WeightsError: the weights can't be had, are damaged, or don't match the encoder key by key.
    """
    path = _weights(spec)
    if path is None:
        layout = GREEN_LAYOUT if spec.family == _GREEN else MAE
        with initial_seed():
            return TimmEncoder(spec, _network(layout, size), layout.sight)
    named = _renamed(read_state_dict(path), path)
    layout = _layout(spec, named)
    with torch.device("meta"):
        model = _network(layout, {**size, **_mlp_in(named)})
    del named  # and with it the mapped file
    load_in_parts(model, path, partial(_translated, path=path, model=model, layout=layout), layout.ignore)
    return TimmEncoder(spec, model, layout.sight)


def _weights(spec: ModelSpec) -> Path | None:
    if spec.weights == UNTRAINED:
        return None
    return spec.weights_file or fetch_weights(weights_card(FAMILIES[spec.family].card_of(spec.architecture)))


def _network(layout: Layout, options: Mapping[str, Any]) -> Any:
    return timm.create_model(
        layout.architecture, num_classes=0, img_size=layout.sight.size, dynamic_img_size=True, **options
    )


def _layout(spec: ModelSpec, state: Mapping[str, Tensor]) -> Layout:
    """The layout that the word means, or that the keys of a file of one's own show."""
    if spec.family == _GREEN:
        return GREEN_LAYOUT
    if spec.weights_file is None:
        return DINOV2 if spec.architecture.startswith("dinov2") else MAE
    return DINOV2 if "blocks.0.ls1.gamma" in state else MAE


def _translated(state: dict[str, Tensor], path: Path, model: Any, layout: Layout) -> dict[str, Tensor]:
    """A file's tensors under timm's names, position embeddings at the network's grid."""
    named = _renamed(state, path)
    if "pos_embed" in named:
        named["pos_embed"] = resized_positions(
            named["pos_embed"], model.patch_embed.grid_size, int(layout.class_position)
        )
    return named


def _renamed(state: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """A file's tensors under timm's names.

    Of a whole training only the teacher is taken; ``backbone.`` is taken off; the blocks of DINOv2's block chunks get
    their plain numbers; and a SwiGLU's ``w12`` and ``w3`` are timm's ``fc1`` and ``fc2``.
    """
    if any(key.startswith(_TEACHER) for key in state):
        state = {key.removeprefix(_TEACHER): tensor for key, tensor in state.items() if key.startswith(_TEACHER)}
    named: dict[str, Tensor] = {}
    for key, tensor in state.items():
        name = _CHUNKED_BLOCK.sub(r"blocks.\1.", key.removeprefix(_BACKBONE))
        name = name.replace(".mlp.w12.", ".mlp.fc1.").replace(".mlp.w3.", ".mlp.fc2.")
        if name in named:
            raise WeightsError(f"{path}: holds two tensors for {name} (one is {key}); save the wanted ones alone")
        named[name] = tensor
    return named


def _mlp_in(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """timm's options for the MLP in a file: nothing for the plain one, gated where two halves enter and one leaves."""
    first, last = state.get("blocks.0.mlp.fc1.weight"), state.get("blocks.0.mlp.fc2.weight")
    if first is None or last is None or first.ndim != 2 or last.ndim != 2 or len(first) != 2 * last.shape[1]:
        return {}
    # Half a unit more, because timm cuts the product of the ratio and the width down to an integer.
    ratio = (len(first) + 0.5) / first.shape[1]
    return {"mlp_layer": timm.layers.SwiGLUPacked, "act_layer": nn.SiLU, "mlp_ratio": ratio}


def resized_positions(positions: Tensor, grid: tuple[int, int], prefix: int) -> Tensor:
    """Position embeddings of a square grid of patches at another grid, by bicubic interpolation.

    Args:
        positions: (1, prefix + side², width).
        grid: rows and columns wanted.
        prefix: leading embeddings that belong to no patch, kept as they are.

    Returns:
        (1, prefix + rows · columns, width); ``positions`` itself where they are of that size or of no square grid.
    """
    side = round(max(positions.shape[1] - prefix, 0) ** 0.5) if positions.ndim == 3 else 0
    if side == 0 or prefix + side**2 != positions.shape[1] or (side, side) == tuple(grid):
        return positions
    patches = positions[:, prefix:].float().reshape(1, side, side, -1).permute(0, 3, 1, 2)
    patches = functional.interpolate(patches, size=grid, mode="bicubic", align_corners=False)
    return torch.cat([positions[:, :prefix].float(), patches.flatten(2).transpose(1, 2)], 1)
