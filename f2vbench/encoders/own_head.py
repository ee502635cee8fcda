"""Networks with the classification head that they were fine-tuned with; their embedding is the head's output.

RETFound's fine-tuning averages the patch tokens of the last block, without the final norm, before `fc_norm` and the
head (`global_pool`); without `fc_norm` in the file, the head reads the class token after the final norm, as timm's
transformers do. Other networks are timm's own, with their pooling.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from f2vbench.encoders.retfound import GREEN_LAYOUT, find_layout, mlp_options, translate_transformer, with_timm_names
from f2vbench.encoders.spec import ModelSpec
from f2vbench.encoders.timm_encoder import Preprocessing, TimmEncoder
from f2vbench.encoders.timm_models import check_name, create, preprocessing_of, resized_positions
from f2vbench.errors import WeightsError
from f2vbench.pretrained.checkpoints import read_state_dict
from f2vbench.pretrained.state_dicts import match_state_dict, without_prefix

_GREEN = "retfound-green"


class OwnHeadClassifier(TimmEncoder):
    """A classifier of timm; its embedding is the output of its head, before softmax or sigmoid.

    Args:
        spec: The specification that it was built from.
        model: The network with its weights and head.
        preprocessing: How a photograph becomes its input.
        fixed: Whether the network accepts photographs of one size only.
    """

    def __init__(self, spec: ModelSpec, model: Any, preprocessing: Preprocessing, fixed: bool = False):
        super().__init__(spec, model, preprocessing, fixed)
        self.width = len(spec.outputs)

    def pooled(self, prepared: Tensor) -> Tensor:
        """(n, outputs) of prepared photographs."""
        outputs: Tensor = self.model(prepared)
        return outputs


def load_own_head(spec: ModelSpec, **size: Any) -> OwnHeadClassifier:
    """The classifier of a model with ``outputs``.

    Args:
        spec: A model of family `retfound`, `retfound-green` or `timm` with a weights file.
        size: Options of timm's network for other sizes than the released one.

    Raises:
        WeightsError: The file is damaged, or does not match the network with its head tensor by tensor.
    """
    path = spec.weights_file
    if path is None:
        raise WeightsError(f"model={spec.name}: has no weights file")
    if spec.family == "timm":
        return _load_timm(spec, path, size)
    return _load_retfound(spec, path, size)


def _load_retfound(spec: ModelSpec, path: Path, size: dict[str, Any]) -> OwnHeadClassifier:
    state = with_timm_names(read_state_dict(path), path)
    layout = GREEN_LAYOUT if spec.family == _GREEN else find_layout(state)
    options = {**size, **mlp_options(state), **_pooling(state), "img_size": layout.preprocessing.size}
    with torch.device("cpu"):
        model, _ = create(layout.architecture, classes=len(spec.outputs), **options)
    encoder_only = tuple(pattern for pattern in layout.ignore if not pattern.startswith("head"))
    match_state_dict(model, translate_transformer(state, path, model, layout), path, ignore=encoder_only)
    return OwnHeadClassifier(spec, model, layout.preprocessing)


def _load_timm(spec: ModelSpec, path: Path, size: dict[str, Any]) -> OwnHeadClassifier:
    check_name(spec.architecture, needs_tag=False)
    state = read_state_dict(path)
    model, flexible = create(spec.architecture, classes=len(spec.outputs), **size, **_pooling(state))
    named = without_prefix(state, model.state_dict(), path)
    match_state_dict(model, resized_positions(named, model, path), path)
    fixed = bool(model.pretrained_cfg.get("fixed_input_size")) and not flexible
    return OwnHeadClassifier(spec, model, preprocessing_of(spec, model.pretrained_cfg), fixed)


def _pooling(state: dict[str, Tensor]) -> dict[str, Any]:
    """Options of timm's transformer for the pooling before the head: averaged tokens where the file has ``fc_norm``."""
    return {"global_pool": "avg"} if any(key.endswith("fc_norm.weight") for key in state) else {}
