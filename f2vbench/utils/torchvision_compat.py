"""Lets timm and segmentation-models-pytorch import where torchvision's compiled part can't be loaded.

Both import torchvision, which at import registers fake kernels for ``torchvision::nms``. A torchvision whose
compiled library doesn't load (a build for CUDA beside a CPU-only torch is the usual case) never defines that
operator, so the import fails although neither library ever calls it. Declaring the operators' schemas is enough.
"""

from __future__ import annotations

import importlib.util
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder

import torch

_OPERATORS = ("nms", "qnms")
# Operators live only as long as the Library object that declared them.
_declared: list[torch.library.Library] = []


def allow_missing_torchvision_ops() -> None:
    """Call before the first import of timm or segmentation_models_pytorch; a working torchvision is untouched.

    May be called any number of times, in any process. Where the schemas had to be declared,
    ``torchvision.ops.nms`` and ``torchvision.io`` stay unusable.
    """
    if _declared or hasattr(torch.ops.torchvision, "nms") or _load_compiled_library():
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in _OPERATORS:
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _declared.append(library)


def _load_compiled_library() -> bool:
    """Try to load torchvision's ``_C`` library, found without importing torchvision itself."""
    package = importlib.util.find_spec("torchvision")
    if package is None or not package.submodule_search_locations:
        return False
    folder = package.submodule_search_locations[0]
    library = FileFinder(folder, (ExtensionFileLoader, EXTENSION_SUFFIXES)).find_spec("_C")
    if library is None or library.origin is None:
        return False
    try:
        torch.ops.load_library(library.origin)
    except OSError:
        return False
    return True
