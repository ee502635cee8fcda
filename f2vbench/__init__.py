"""f2vbench: benchmark of retinal image encoders with few labels and paired significance tests.

`import f2vbench` does not import torch; the names below are imported at their first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from f2vbench.benchmark import Benchmark
    from f2vbench.data.task_cards import load_card as load_task
    from f2vbench.encoders.loading import load_encoder
    from f2vbench.predict.head_ensemble import load_head
    from f2vbench.results import Results

__all__ = ["Benchmark", "Results", "load_encoder", "load_head", "load_task"]

_IMPORTS = {
    "Benchmark": ("f2vbench.benchmark", "Benchmark"),
    "Results": ("f2vbench.results", "Results"),
    "load_encoder": ("f2vbench.encoders.loading", "load_encoder"),
    "load_head": ("f2vbench.predict.head_ensemble", "load_head"),
    "load_task": ("f2vbench.data.task_cards", "load_card"),
}


def __getattr__(name: str) -> Any:
    if name not in _IMPORTS:
        raise AttributeError(f"module 'f2vbench' has no attribute '{name}'")
    from importlib import import_module

    module, attribute = _IMPORTS[name]
    return getattr(import_module(module), attribute)
