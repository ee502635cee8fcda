"""RETFound and RETFound-Green: their released files, in every layout, loaded into timm's transformers.

RETFound (Zhou et al., Nature 622, 2023) is a ViT-L: MAE files contain an encoder, a decoder and the optimiser's state
under `model`, `optimizer`, …; DINOv2 files contain the teacher of a training under `teacher`, with heads.
RETFound-Green (Engelmann and Bernabeu, Nature Communications 2025) is a ViT-S with register tokens in a bare state
dict.

Their released code computes three different embeddings from the patch tokens, without class and register tokens:

- MAE: `fc_norm(mean(tokens))` of the tokens of the last block. The final norm, which is trained, is not applied.
- DINOv2: `fc_norm(mean(norm(tokens)))`, the norm of the trained network and then another one.
- RETFound-Green: `mean(norm(tokens))`.

`fc_norm` is a layer norm that no released file contains. Its weights are those of its initialisation, 1 and 0, until
the encoder is fine-tuned. `retfound` computes these embeddings; `retfound@mean` is `mean(norm(tokens))` of both kinds.
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
from f2vbench.encoders.timm_encoder import Preprocessing, TimmEncoder
from f2vbench.encoders.timm_models import initial_seed, timm
from f2vbench.errors import WeightsError
from f2vbench.pretrained.checkpoints import read_state_dict
from f2vbench.pretrained.hub import fetch_weights
from f2vbench.pretrained.state_dicts import TRANSFORMER_NAMES, load_in_parts, without_prefix
from f2vbench.pretrained.weights_cards import weights_card

_GREEN = "retfound-green"
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_TEACHER, _BACKBONE = "teacher.", "backbone."
_CHUNKED_BLOCK = re.compile(r"^blocks\.\d+\.(\d+)\.")


@dataclass(frozen=True)
class Layout:
    """Layout of a released file.

    Attributes:
        architecture: timm's name of the network.
        preprocessing: How a photograph becomes its input.
        ignore: Patterns of tensors in the file that are no part of the encoder.
        normalises_tokens: Whether the final norm is applied to the tokens before `fc_norm(mean(tokens))`.
        class_position: Whether the class token has a position embedding (the first one).
    """

    architecture: str
    preprocessing: Preprocessing
    ignore: tuple[str, ...]
    normalises_tokens: bool = True
    class_position: bool = True


_RETFOUND_INPUT = Preprocessing(
    (224, 224), _IMAGENET_MEAN, _IMAGENET_STD, interpolation="bicubic", shorter_side=256, crops_to_field=True
)
_GREEN_INPUT = Preprocessing((392, 392), (0.5,) * 3, (0.5,) * 3, interpolation="bilinear", crops_to_field=True)
MAE_LAYOUT = Layout(
    "vit_large_patch16_224", _RETFOUND_INPUT, ("mask_token", "decoder_*", "head.*"), normalises_tokens=False
)
DINOV2_LAYOUT = Layout("vit_large_patch14_dinov2", _RETFOUND_INPUT, ("mask_token", "dino_head.*", "ibot_head.*"))
GREEN_LAYOUT = Layout("vit_small_patch14_reg4_dinov2", _GREEN_INPUT, ("mask_token", "head.*"), class_position=False)
_FC_NORM_EPSILON = 1e-6


class OfficialRetfound(TimmEncoder):
    """RETFound with the embedding of its released code, `fc_norm` of the mean patch token; see this module.

    Args:
        spec: The specification that it was built from.
        model: The network with its weights.
        layout: Layout of its released file.
    """

    def __init__(self, spec: ModelSpec, model: Any, layout: Layout):
        super().__init__(spec, model, layout.preprocessing)
        self.fc_norm = nn.LayerNorm(self.width, eps=_FC_NORM_EPSILON)
        self._normalises_tokens = layout.normalises_tokens

    def pooled(self, prepared: Tensor) -> Tensor:
        """(n, width) embeddings of prepared photographs."""
        if self._normalises_tokens:
            mean = super().pooled(prepared)
        else:
            tokens = self.model.forward_intermediates(
                prepared, indices=1, norm=False, output_fmt="NLC", intermediates_only=True
            )
            mean = tokens[-1].mean(1)
        return self.fc_norm(mean)  # type: ignore[no-any-return]

    def layer_distances(self) -> dict[str, int]:
        """As `TimmEncoder.layer_distances`; like the final norm, `fc_norm` learns as fast as the head."""
        return {**super().layer_distances(), "fc_norm.weight": 0, "fc_norm.bias": 0}


def load_retfound(spec: ModelSpec, **size: Any) -> TimmEncoder:
    """A model of family `retfound` or `retfound-green`.

    The tensor names of a file decide whether it is of the MAE or the DINOv2 kind. Loading needs the encoder's own
    memory and at most 256 MiB more, however much else the file contains, unless its format can't be memory-mapped
    (PyTorch's before 1.6).

    Args:
        spec: Its `weights` are `released` (a file on this machine, else a download from the Hub), `untrained`, or a
            file. Its `pooling` is `official` or `mean`.
        size: Options of timm's network for other sizes than the released one, such as `embed_dim`, `depth`,
            `num_heads`.

    Raises:
        WeightsError: The weights are not available (the message says how to get them), damaged, or do not match the
            encoder tensor by tensor.
    """
    path = find_released_file(spec)
    if path is None:
        layout = GREEN_LAYOUT if spec.family == _GREEN else MAE_LAYOUT
        with initial_seed():
            return _encoder(spec, _network(layout, size), layout)
    state = with_timm_names(read_state_dict(path), path)
    layout = _layout(spec, state)
    with torch.device("meta"):
        model = _network(layout, {**size, **mlp_options(state)})
    del state  # and with it the mapped file
    load_in_parts(model, path, partial(translate_transformer, path=path, model=model, layout=layout), layout.ignore)
    return _encoder(spec, model, layout)


def _encoder(spec: ModelSpec, model: Any, layout: Layout) -> TimmEncoder:
    if spec.pooling == "official":
        return OfficialRetfound(spec, model, layout)
    return TimmEncoder(spec, model, layout.preprocessing)


def find_released_file(spec: ModelSpec) -> Path | None:
    """The weights file of a model of a family with released weights, downloaded if needed; None for untrained weights.

    Args:
        spec: The model.

    Raises:
        WeightsError: The file is neither on this machine nor on the Hub, or can't be downloaded.
    """
    if spec.weights == UNTRAINED:
        return None
    return spec.weights_file or fetch_weights(weights_card(FAMILIES[spec.family].card_of(spec.architecture)))


def _network(layout: Layout, options: Mapping[str, Any]) -> Any:
    return timm.create_model(
        layout.architecture, num_classes=0, img_size=layout.preprocessing.size, dynamic_img_size=True, **options
    )


def _layout(spec: ModelSpec, state: Mapping[str, Tensor]) -> Layout:
    """The layout of a released variant, or the one that the tensor names of another file show."""
    if spec.family == _GREEN:
        return GREEN_LAYOUT
    if spec.weights_file is None:
        return DINOV2_LAYOUT if spec.architecture.startswith("dinov2") else MAE_LAYOUT
    return find_layout(state)


def find_layout(state: Mapping[str, Tensor]) -> Layout:
    """The layout of a RETFound file that its tensor names show.

    Args:
        state: Tensors of the file under timm's names.
    """
    return DINOV2_LAYOUT if "blocks.0.ls1.gamma" in state else MAE_LAYOUT


def translate_transformer(state: dict[str, Tensor], path: Path, model: Any, layout: Layout) -> dict[str, Tensor]:
    """Tensors of a transformer's file under timm's names, with position embeddings on the network's grid.

    Args:
        state: Tensors of the file by name.
        path: The file, for messages.
        model: The network.
        layout: Layout of the file.

    Raises:
        WeightsError: The file contains several such networks.
    """
    named = with_timm_names(state, path)
    if "pos_embed" in named:
        named["pos_embed"] = resize_positions(
            named["pos_embed"], model.patch_embed.grid_size, int(layout.class_position)
        )
    return named


def with_timm_names(state: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Tensors of a file under timm's names.

    Of a whole training only the teacher is used. `backbone.` is removed, the blocks of DINOv2's block chunks get their
    plain numbers, and the `w12` and `w3` of a SwiGLU become timm's `fc1` and `fc2`.

    Args:
        state: Tensors of the file by name.
        path: The file, for messages.

    Raises:
        WeightsError: The file contains two tensors of one name.
    """
    if any(key.startswith(_TEACHER) for key in state):
        state = {key.removeprefix(_TEACHER): tensor for key, tensor in state.items() if key.startswith(_TEACHER)}
    state = without_prefix(state, TRANSFORMER_NAMES, path, silent=(_BACKBONE,))
    named: dict[str, Tensor] = {}
    for key, tensor in state.items():
        name = _CHUNKED_BLOCK.sub(r"blocks.\1.", key.removeprefix(_BACKBONE))
        name = name.replace(".mlp.w12.", ".mlp.fc1.").replace(".mlp.w3.", ".mlp.fc2.")
        if name in named:
            raise WeightsError(
                f"{path}: contains two tensors for {name} (one is {key}); save only the encoder's tensors"
            )
        named[name] = tensor
    return named


def mlp_options(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Options of timm for the MLP in a file: none for a plain MLP, a SwiGLU where the first layer is twice as wide.

    Args:
        state: Tensors of the file under timm's names.
    """
    first, last = state.get("blocks.0.mlp.fc1.weight"), state.get("blocks.0.mlp.fc2.weight")
    if first is None or last is None or first.ndim != 2 or last.ndim != 2 or len(first) != 2 * last.shape[1]:
        return {}
    # Half a unit more, because timm truncates the product of ratio and width to an integer.
    ratio = (len(first) + 0.5) / first.shape[1]
    return {"mlp_layer": timm.layers.mlp.SwiGLUPacked, "act_layer": nn.SiLU, "mlp_ratio": ratio}


def resize_positions(positions: Tensor, grid: tuple[int, int], prefix: int) -> Tensor:
    """Position embeddings of a square grid of patches on another grid, by bicubic interpolation.

    Args:
        positions: (1, prefix + side², width).
        grid: Rows and columns of the new grid.
        prefix: Number of leading embeddings that belong to no patch; they do not change.

    Returns:
        (1, prefix + rows · columns, width); `positions` itself where they have that size or are of no square grid.
    """
    side = round(max(positions.shape[1] - prefix, 0) ** 0.5) if positions.ndim == 3 else 0
    if side == 0 or prefix + side**2 != positions.shape[1] or (side, side) == tuple(grid):
        return positions
    patches = positions[:, prefix:].float().reshape(1, side, side, -1).permute(0, 3, 1, 2)
    patches = functional.interpolate(patches, size=grid, mode="bicubic", align_corners=False)
    return torch.cat([positions[:, :prefix].float(), patches.flatten(2).transpose(1, 2)], 1)
