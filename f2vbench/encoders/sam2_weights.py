"""Weights of SAM2 in every layout, under the names of transformers' `Sam2Model`.

Original files (`sam2_hiera_small.pt`, checkpoints of Medical-SAM2's training) have the names of Meta's modules; files
on the Hugging Face Hub have those of transformers. Both may contain the modules for videos, which one image does not
need.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from f2vbench.encoders.sam2_configuration import RELEASED, Configuration
from f2vbench.errors import WeightsError

VIDEO_NAMES = (
    # Meta's modules for videos
    "memory_attention.*",
    "memory_encoder.*",
    "mask_downsample.*",
    "maskmem_tpos_enc",
    "no_mem_pos_enc",
    "no_obj_ptr",
    "no_obj_embed_spatial",
    "obj_ptr_proj.*",
    "obj_ptr_tpos_proj.*",
    # transformers' names of the same
    "memory_temporal_positional_encoding",
    "no_memory_positional_encoding",
    "no_object_pointer",
    "object_pointer_proj.*",
    "occlusion_spatial_embedding_parameter",
    "temporal_positional_encoding_projection_layer.*",
)
"""Patterns of tensors that a file may contain beyond those of `Sam2Model`."""

_ORIGINAL_MARK = "image_encoder.trunk."
_POSITIONS = ("shared_image_embedding.positional_embedding", "prompt_encoder.shared_embedding.positional_embedding")
_POINTS = re.compile(r"prompt_encoder\.point_embeddings\.(\d+)\.weight")
_BLOCK_NORM = re.compile(r"vision_encoder\.backbone\.blocks\.(\d+)\.layer_norm2\.weight")
_MLP_OF_TWO = r"((?:vision_encoder\.backbone\.blocks|mask_decoder\.transformer\.layers)\.\d+\.mlp)\.layers"
_MLP_OF_THREE = r"(mask_decoder\.(?:output_hypernetworks_mlps\.\d+|iou_prediction_head|pred_obj_score_head))\.layers"
# Applied to each name one after the other.
_RENAMED = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"^image_encoder\.trunk\.patch_embed\.proj\.", "vision_encoder.backbone.patch_embed.projection."),
        (r"^image_encoder\.trunk\.", "vision_encoder.backbone."),
        (r"^image_encoder\.neck\.convs\.(\d+)\.conv\.", r"vision_encoder.neck.convs.\1."),
        (r"^sam_prompt_encoder\.", "prompt_encoder."),
        (r"^sam_mask_decoder\.", "mask_decoder."),
        (r"^no_mem_embed$", "no_memory_embedding"),
        (r"^prompt_encoder\.pe_layer\.positional_encoding_gaussian_matrix$", _POSITIONS[1]),
        (r"^prompt_encoder\.mask_downscaling\.0\.", "prompt_encoder.mask_embed.conv1."),
        (r"^prompt_encoder\.mask_downscaling\.1\.", "prompt_encoder.mask_embed.layer_norm1."),
        (r"^prompt_encoder\.mask_downscaling\.3\.", "prompt_encoder.mask_embed.conv2."),
        (r"^prompt_encoder\.mask_downscaling\.4\.", "prompt_encoder.mask_embed.layer_norm2."),
        (r"^prompt_encoder\.mask_downscaling\.6\.", "prompt_encoder.mask_embed.conv3."),
        (r"^mask_decoder\.output_upscaling\.0\.", "mask_decoder.upscale_conv1."),
        (r"^mask_decoder\.output_upscaling\.1\.", "mask_decoder.upscale_layer_norm."),
        (r"^mask_decoder\.output_upscaling\.3\.", "mask_decoder.upscale_conv2."),
        (r"^(vision_encoder\.backbone\.blocks\.\d+)\.norm(\d)\.", r"\1.layer_norm\2."),
        (r"^(mask_decoder\.transformer\.layers\.\d+)\.norm(\d)\.", r"\1.layer_norm\2."),
        (r"^mask_decoder\.transformer\.norm_final_attn\.", "mask_decoder.transformer.layer_norm_final_attn."),
        (r"^(mask_decoder\.transformer\..*)\.out_proj\.", r"\1.o_proj."),
        (rf"^{_MLP_OF_TWO}\.0\.", r"\1.proj_in."),
        (rf"^{_MLP_OF_TWO}\.1\.", r"\1.proj_out."),
        (rf"^{_MLP_OF_THREE}\.0\.", r"\1.proj_in."),
        (rf"^{_MLP_OF_THREE}\.1\.", r"\1.layers.0."),
        (rf"^{_MLP_OF_THREE}\.2\.", r"\1.proj_out."),
    )
)


def with_transformers_names(state: Mapping[str, Tensor], path: str | Path) -> dict[str, Tensor]:
    """Tensors of a file under the names of `Sam2Model`; names that are not known stay as they are.

    Args:
        state: Tensors of the file by name, in the original or in transformers' layout.
        path: The file, for messages.

    Raises:
        WeightsError: Two tensors of the file have the same new name.
    """
    named: dict[str, Tensor] = {}
    is_original = any(key.startswith(_ORIGINAL_MARK) for key in state)
    for key, tensor in state.items():
        name = _renamed(key) if is_original else key
        if name in named:
            raise WeightsError(f"{path}: two tensors for {name} (one is {key}); save the weights of one model only")
        named[name] = tensor
    points = {int(found[1]): name for name in named if (found := _POINTS.fullmatch(name))}
    if sorted(points) == list(range(len(points))) and points:
        embeddings = [named.pop(points[number]) for number in range(len(points))]
        named["prompt_encoder.point_embed.weight"] = torch.cat(embeddings)
    # The same positions occur twice in the network; files contain them once or twice.
    for name, other in (_POSITIONS, _POSITIONS[::-1]):
        if name not in named and other in named:
            named[name] = named[other]
    return named


def find_configuration(state: Mapping[str, Tensor], path: str | Path) -> str:
    """Name in `RELEASED` of the configuration that fits the image encoder of a file.

    Args:
        state: Tensors by the names of `Sam2Model`.
        path: The file, for messages.

    Raises:
        WeightsError: The file contains no image encoder of SAM2, or none of a released shape.
    """
    found = _backbone_shape(state)
    if not found["embed_dim_per_stage"]:
        raise WeightsError(
            f"{path}: contains no image encoder of SAM2 (image_encoder.trunk.* or vision_encoder.backbone.*); check "
            "which model these weights belong to"
        )
    shapes = {name: _declared_shape(configuration) for name, configuration in RELEASED.items()}
    for name, shape in shapes.items():
        if shape == found:
            return name
    known = "; ".join(f"{name}: {_shape_text(shape)}" for name, shape in shapes.items())
    raise WeightsError(
        f"{path}: its image encoder has {_shape_text(found)}, which is no released size of SAM2 ({known}); for another "
        "size give a folder with model.safetensors and its config.json"
    )


def _renamed(key: str) -> str:
    for pattern, name in _RENAMED:
        key = pattern.sub(name, key)
    return key


def _backbone_shape(state: Mapping[str, Tensor]) -> dict[str, list[int]]:
    """Widths and blocks of the stages of an image encoder; a stage begins where the width grows."""
    norms = {int(found[1]): tensor for key, tensor in state.items() if (found := _BLOCK_NORM.fullmatch(key))}
    every = [norm.shape[0] for _, norm in sorted(norms.items()) if norm.ndim == 1]
    widths = list(dict.fromkeys(every))
    return {"embed_dim_per_stage": widths, "blocks_per_stage": [every.count(width) for width in widths]}


def _declared_shape(configuration: Configuration) -> dict[str, list[int]]:
    backbone = configuration["vision_config"]["backbone_config"]
    return {key: backbone[key] for key in ("embed_dim_per_stage", "blocks_per_stage")}


def _shape_text(shape: Mapping[str, list[int]]) -> str:
    widths, blocks = ("/".join(map(str, shape[key])) for key in ("embed_dim_per_stage", "blocks_per_stage"))
    return f"{widths} channels in {blocks} blocks"
