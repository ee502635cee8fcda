"""Weights files that are damaged, of other formats, under prefixes or of other sizes."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.hostile.inputs import Hostile, eye

Tensors = dict[str, Any]


class _RunsCode:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("echo code was run",)


def _embed(model: str) -> int:
    """Load a model and embed two photographs, as the command line reports errors."""
    from f2vbench.encoders.loading import load_encoder
    from f2vbench.errors import F2VBenchError

    try:
        vectors = load_encoder(model).embed([eye(0)[0], eye(1)[0]])
    except F2VBenchError as error:
        print(f"error: {error}")
        return 2
    print("embedded", vectors.shape, "varying" if (vectors[0] != vectors[1]).any() else "constant")
    return 0


def _generator() -> Tensors:
    from f2vbench.pretrained.checkpoints import read_state_dict
    from f2vbench.pretrained.weights_cards import weights_card
    from f2vbench.pretrained.weights_files import find_weights

    return dict(read_state_dict(find_weights(weights_card("pix2pixhd-mini"))))


def _changed(change: Callable[[Tensors], Any], at: Path) -> int:
    import torch

    torch.save(change(_generator()), at / "a.pth")
    return _embed(f"pix2pixhd:{at / 'a.pth'}")


def _bytes(content: bytes, suffix: str, at: Path) -> int:
    (at / f"a{suffix}").write_bytes(content)
    return _embed(f"pix2pixhd:{at / f'a{suffix}'}")


def _cut(at: Path) -> int:
    import torch

    torch.save(_generator(), at / "whole.pth")
    (at / "a.pth").write_bytes((at / "whole.pth").read_bytes()[:100_000])
    return _embed(f"pix2pixhd:{at / 'a.pth'}")


def _script(at: Path) -> int:
    import torch

    torch.jit.script(torch.nn.Linear(2, 2)).save(str(at / "a.pth"))
    return _embed(f"pix2pixhd:{at / 'a.pth'}")


def _sized(side: int, at: Path) -> int:
    import torch

    from f2vbench.encoders.timm_models import timm

    torch.save(timm.create_model("test_vit", num_classes=0, img_size=side).state_dict(), at / "a.pth")
    return _embed(f"timm:test_vit:{at / 'a.pth'}")


def _prefixed(prefix: str, state: Tensors) -> Tensors:
    return {prefix + name: tensor for name, tensor in state.items()}


def inputs() -> Iterator[Hostile]:
    """The inputs of this category."""
    for prefix in ("_orig_mod.", "netG.", "model.", "backbone.", "module.", "module._orig_mod.", "generator.netG."):
        yield Hostile(f"the prefix {prefix}", partial(_changed, partial(_prefixed, prefix)), "varying", (0,))
    for key in ("state_dict", "model", "netG", "generator", "model_state_dict"):
        yield Hostile(f"under the key {key}", partial(_changed, lambda state, key=key: {key: state}), "varying", (0,))
    changes: dict[str, tuple[Callable[[Tensors], Any], str]] = {
        "all zero": (lambda s: {name: t * 0 for name, t in s.items()}, "all its matrices are zero"),
        "integers": (lambda s: {name: t.to(__import__("torch").int8) for name, t in s.items()}, "not floating point"),
        "NaN": (lambda s: {name: t * float("nan") for name, t in s.items()}, "NaN or infinity"),
        "infinity": (lambda s: {name: t + float("inf") for name, t in s.items()}, "NaN or infinity"),
        "half of the tensors": (lambda s: dict(list(s.items())[::2]), "missing"),
        "transposed tensors": (lambda s: {name: t.flip(0).transpose(0, -1) for name, t in s.items()}, "error"),
        "two networks": (lambda s: _prefixed("a.", s) | _prefixed("b.", s), "several such networks"),
        "a head": (lambda s: s | {"head.weight": s["model.1.weight"]}, "head of a fine-tuned"),
        "a list": (lambda s: list(s.values()), "not a state dict"),
        "no tensors": (lambda s: dict.fromkeys(s, 1), "no tensors"),
        "nothing": (lambda s: {}, "no tensors"),
    }
    for what, (change, expected) in changes.items():
        yield Hostile(what, partial(_changed, change), expected)
    contents = {"nothing": b"", "text": b"hello", "a web page": b"<!DOCTYPE html>404", "zeros": bytes(9999)}
    contents["a pickle that runs code"] = pickle.dumps(_RunsCode())
    for what, content in contents.items():
        for suffix in (".pth", ".safetensors"):
            yield Hostile(f"a{suffix}: {what}", partial(_bytes, content, suffix), "error: .*(refused|empty|damaged)")
    yield Hostile("a file cut off", _cut, "truncated or damaged")
    yield Hostile("TorchScript", _script, "TorchScript")
    for side in (96, 128, 224):
        yield Hostile(f"a transformer of {side} px", partial(_sized, side), "varying", (0,))
