"""What fine-tuning asks of timm's networks: the order of their layers, and stochastic depth."""

from __future__ import annotations

from typing import Any

from torch import nn

from f2vbench.utils.torchvision_compat import allow_missing_torchvision_ops

allow_missing_torchvision_ops()

from timm.layers import DropPath  # noqa: E402
from timm.models import group_parameters  # noqa: E402

_BRANCHES = ("drop_path", "drop_path1", "drop_path2")
_NORMS = ("norm.", "fc_norm.")


def layer_distances(model: Any) -> dict[str, int]:
    """Layers from each parameter of a network without classifier to its features: 1 for the last, most for the first.

    timm's own grouping. Of a plain transformer the final norm is not counted (0): as in MAE's and RETFound's
    fine-tuning it learns as fast as the head, the last block is at 1, and class token, position embeddings and the
    embedding of patches are at depth + 1.
    """
    depths = group_parameters(model, model.group_matcher(coarse=False), reverse=True)
    deepest = max(depths.values(), default=0)
    plain = isinstance(getattr(model, "blocks", None), nn.Sequential) and hasattr(model, "pos_embed")
    return {
        name: 0 if plain and name.startswith(_NORMS) else deepest - depths[name] + 1
        for name, _ in model.named_parameters()
    }


def add_drop_path(model: nn.Module, rate: float) -> int:
    """Skip residual branches in training (Huang et al., ECCV 2016), ``rate`` of the last block's, of the first none.

    Returns:
        How many blocks have such branches.
    """
    found = []
    for module in model.modules():
        branches = [name for name in _BRANCHES if isinstance(getattr(module, name, 0), nn.Identity | DropPath | None)]
        if branches:
            found.append((module, branches))
    for place, (module, branches) in enumerate(found):
        for name in branches:
            setattr(module, name, DropPath(rate * place / max(len(found) - 1, 1)))
    return len(found)
