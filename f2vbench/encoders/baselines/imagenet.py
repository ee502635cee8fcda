"""The baseline `imagenet-lite0`: EfficientNet-Lite0 with ImageNet weights from an installed Python package."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from f2vbench.encoders.spec import ModelSpec
from f2vbench.encoders.timm_encoder import Preprocessing, TimmEncoder
from f2vbench.encoders.timm_models import timm
from f2vbench.errors import WeightsError
from f2vbench.pretrained.checkpoints import read_state_dict
from f2vbench.pretrained.state_dicts import match_state_dict

_INPUT = Preprocessing((224, 224), (0.5,) * 3, (0.5,) * 3, interpolation="bicubic", crops_to_field=True)
_ENDS = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_SEPARABLE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_INVERTED = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_OF_BLOCK = re.compile(r"_blocks\.(\d+)\.(\w+)\.(\w+)")
_OF_END = re.compile(r"(_\w+)\.(\w+)")


def load_imagenet_baseline(spec: ModelSpec) -> TimmEncoder:
    """EfficientNet-Lite0 without its classifier.

    The input is that of its training (224 px, bicubic, mean and standard deviation 0.5), of the square around the field
    of view and without the centre crop of ImageNet's protocol, so that the whole retina is seen.

    Args:
        spec: Of family `imagenet-lite0`, with the file of its weights card.

    Raises:
        WeightsError: The file is damaged, or a tensor is missing, unknown or of another shape.
    """
    path = spec.weights_file
    if path is None:
        raise WeightsError(f"model={spec.name}: has no weights file")
    model: Any = timm.create_model(spec.architecture, num_classes=0)
    stages = [len(stage) for stage in model.blocks]
    match_state_dict(model, with_timm_names(read_state_dict(path), stages), path, ignore=("classifier.*",))
    return TimmEncoder(spec, model, _INPUT)


def with_timm_names(state: Mapping[str, Tensor], stages: list[int]) -> dict[str, Tensor]:
    """Tensors of EfficientNet-PyTorch under timm's names.

    EfficientNet-PyTorch numbers the blocks from the first to the last, timm within each stage. Names that neither has
    are kept, so that `match_state_dict` reports them.

    Args:
        state: Tensors by their name in EfficientNet-PyTorch.
        stages: Number of blocks of each stage; the blocks of the first one are depthwise separable convolutions
            without expansion.
    """
    positions = [(stage, block) for stage, blocks in enumerate(stages) for block in range(blocks)]
    return {_timm_name(name, positions): tensor for name, tensor in state.items()}


def _timm_name(name: str, positions: list[tuple[int, int]]) -> str:
    of_block, of_end = _OF_BLOCK.fullmatch(name), _OF_END.fullmatch(name)
    if of_end and of_end[1] in _ENDS:
        return f"{_ENDS[of_end[1]]}.{of_end[2]}"
    if of_block and int(of_block[1]) < len(positions):
        stage, block = positions[int(of_block[1])]
        layers = _INVERTED if stage else _SEPARABLE
        if of_block[2] in layers:
            return f"blocks.{stage}.{block}.{layers[of_block[2]]}.{of_block[3]}"
    return name
