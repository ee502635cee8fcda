"""Makes timm and segmentation-models-pytorch importable if the compiled library of torchvision can't be loaded.

Both import torchvision, which registers fake kernels for ``torchvision::nms``. If its compiled library can't be loaded
(usually a build for CUDA beside a CPU build of torch), this operator is not defined and the import fails, although
neither library calls it. It is enough to declare the schemas of the operators.
"""

from __future__ import annotations

import importlib.util
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder

import torch

_OPERATORS = ("nms", "qnms")
# Operators exist as long as the Library object that declared them.
_declared: list[torch.library.Library] = []


def allow_missing_torchvision_ops() -> None:
    """Declare missing operators of torchvision; a working torchvision is unchanged.

    Call this before the first import of timm or segmentation_models_pytorch; repeated calls have no effect. Where
    operators had to be declared, ``torchvision.ops.nms`` and ``torchvision.io`` remain unusable.
    """
    if _declared or hasattr(torch.ops.torchvision, "nms") or _load_compiled_library():
        return
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]  # torch has no annotations
    for operator in _OPERATORS:
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]  # torch has no annotations
    _declared.append(library)


def _load_compiled_library() -> bool:
    """Try to load the library ``_C`` of torchvision, without importing torchvision."""
    package = importlib.util.find_spec("torchvision")
    if package is None or not package.submodule_search_locations:
        return False
    folder = package.submodule_search_locations[0]
    library = FileFinder(folder, (ExtensionFileLoader, EXTENSION_SUFFIXES)).find_spec("_C")
    if library is None or library.origin is None:
        return False
    try:
        torch.ops.load_library(library.origin)  # type: ignore[no-untyped-call]  # torch has no annotations
    except OSError:
        return False
    return True
