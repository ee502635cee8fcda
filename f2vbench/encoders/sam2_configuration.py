"""Shapes of SAM2's networks (Ravi et al. 2024): the four released ones, and those of a `config.json`. Imports no torch.

A configuration has the keys of transformers' `Sam2Config` on which the output for one image depends.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from f2vbench.config.base import overlay
from f2vbench.errors import WeightsError
from f2vbench.pretrained.shards import whole_path
from f2vbench.utils.files import canonical_json, sha256

Configuration = dict[str, Any]
"""`vision_config`, `prompt_encoder_config` and `mask_decoder_config` of transformers' `Sam2Config`."""

_MODEL_TYPES = ("sam2", "sam2_video")
_HIERA_TINY: Configuration = {
    "vision_config": {
        "model_type": "sam2_vision_model",
        "backbone_config": {
            "model_type": "sam2_hiera_det_model",
            "hidden_size": 96,
            "patch_kernel_size": [7, 7],
            "patch_stride": [4, 4],
            "patch_padding": [3, 3],
            "query_stride": [2, 2],
            "window_positional_embedding_background_size": [7, 7],
            "num_query_pool_stages": 3,
            "blocks_per_stage": [1, 2, 7, 2],
            "embed_dim_per_stage": [96, 192, 384, 768],
            "num_attention_heads_per_stage": [1, 2, 4, 8],
            "window_size_per_stage": [8, 4, 14, 7],
            "global_attention_blocks": [5, 7, 9],
            "mlp_ratio": 4.0,
            "hidden_act": "gelu",
            "layer_norm_eps": 1e-6,
        },
        "backbone_channel_list": [768, 384, 192, 96],
        "fpn_hidden_size": 256,
        "fpn_kernel_size": 1,
        "fpn_stride": 1,
        "fpn_padding": 0,
        "fpn_top_down_levels": [2, 3],
        "num_feature_levels": 3,
    },
    "prompt_encoder_config": {
        "hidden_size": 256,
        "image_size": 1024,
        "patch_size": 16,
        "mask_input_channels": 16,
        "num_point_embeddings": 4,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-6,
    },
    "mask_decoder_config": {
        "hidden_size": 256,
        "mlp_dim": 2048,
        "num_hidden_layers": 2,
        "num_attention_heads": 8,
        "attention_downsample_rate": 2,
        "num_multimask_outputs": 3,
        "iou_head_depth": 3,
        "iou_head_hidden_dim": 256,
    },
}
"""The smallest released shape; its values are also the defaults of keys that a `config.json` leaves out."""


def _released(
    width: int,
    heads: int,
    blocks: Sequence[int],
    global_blocks: Sequence[int],
    background: int = 7,
    windows: Sequence[int] = (8, 4, 14, 7),
) -> Configuration:
    widths = [width * 2**stage for stage in range(4)]
    backbone = {
        "hidden_size": width,
        "window_positional_embedding_background_size": [background, background],
        "blocks_per_stage": list(blocks),
        "embed_dim_per_stage": widths,
        "num_attention_heads_per_stage": [heads * 2**stage for stage in range(4)],
        "window_size_per_stage": list(windows),
        "global_attention_blocks": list(global_blocks),
    }
    return overlay(_HIERA_TINY, {"vision_config": {"backbone_config": backbone, "backbone_channel_list": widths[::-1]}})


RELEASED: dict[str, Configuration] = {
    "hiera-tiny": _HIERA_TINY,
    "hiera-small": _released(96, 1, (1, 2, 11, 2), (7, 10, 13)),
    "hiera-base-plus": _released(112, 2, (2, 3, 16, 3), (12, 16, 20), background=14),
    "hiera-large": _released(144, 2, (2, 6, 36, 4), (23, 33, 43), windows=(8, 4, 16, 8)),
}
"""Configurations of the released weights, of SAM2 and SAM2.1 alike."""


DEFAULT_CONFIGURATION = "hiera-small"
"""The size of the weights in the Fundus2Video papers, and of untrained weights."""


def released_name(variant: str) -> str:
    """Name in `RELEASED` of a variant of the family `sam2`, such as `2.1-hiera-small`."""
    return variant.removeprefix("2.1-")


def configuration_beside(weights: Path) -> Configuration | None:
    """The configuration in the `config.json` beside a safetensors file, as in repositories on the Hugging Face Hub.

    Args:
        weights: The weights file.

    Returns:
        All keys of a configuration, or None where there is no `config.json` or the file is no safetensors file.

    Raises:
        WeightsError: The `config.json` is unreadable, of another kind of model, or has values of another type.
    """
    path = weights.with_name("config.json")
    if whole_path(weights).suffix != ".safetensors" or not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: not readable as JSON ({error}); copy or download it again") from error
    if not isinstance(content, dict) or content.get("model_type") not in _MODEL_TYPES:
        found = content.get("model_type") if isinstance(content, dict) else type(content).__name__
        raise WeightsError(
            f"{path}: model_type is {found!r}, needs {' or '.join(_MODEL_TYPES)}; give the folder of a SAM2 model"
        )
    configuration = _known_values(_HIERA_TINY, content, str(path), "")
    side, patch = (configuration["prompt_encoder_config"][key] for key in ("image_size", "patch_size"))
    if side < 1 or patch < 1 or side % patch:
        raise WeightsError(f"{path}: image_size={side} is not a multiple of patch_size={patch}; correct the file")
    return configuration


def shape_of(weights: str, architecture: str) -> tuple[str, int]:
    """Architecture and side of the square input, px, of weights that are not loaded.

    Args:
        weights: `ModelSpec.weights`.
        architecture: Variant of released weights, or the name of the family.

    Returns:
        The architecture, with a hash of a configuration that is not a released one; the side.

    Raises:
        WeightsError: As `configuration_beside`.
    """
    configuration = configuration_beside(Path(weights)) or RELEASED[DEFAULT_CONFIGURATION]
    if configuration not in RELEASED.values():
        architecture = f"{architecture}-config-{sha256(canonical_json(configuration))[:12]}"
    return architecture, int(configuration["prompt_encoder_config"]["image_size"])


def _known_values(defaults: Mapping[str, Any], content: Mapping[str, Any], path: str, prefix: str) -> Configuration:
    """The values of a file under the keys of `defaults`; defaults replace absent and null values."""
    values: Configuration = {}
    for key, default in defaults.items():
        value = content.get(key)
        value = default if value is None else value
        if isinstance(default, dict) and isinstance(value, Mapping):
            value = _known_values(default, value, path, f"{prefix}{key}.")
        expected = (int, float) if isinstance(default, float) else type(default)
        if not isinstance(value, expected) or isinstance(value, bool) or (key == "model_type" and value != default):
            raise WeightsError(f"{path}: {prefix}{key} is {value!r}, needs a value such as {default!r}; correct it")
        values[key] = value
    return values
