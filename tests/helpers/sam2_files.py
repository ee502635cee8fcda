"""Weights of a tiny SAM2 in the original layout and in that of the Hugging Face Hub.

`tests/encoders/sam2_original/` was made with Meta's modules (Apache-2.0, github.com/facebookresearch/sam2, as PyPI's
source package `sam2` 1.1.0 repeats them; torch 2.13). `tiny.json` and `hiera-small.json` have name and shape of each
tensor of `SAM2Base`: in the shape `TINY` with the additions of SAM2.1, and in the released shape `hiera-small` of SAM2.
`outputs.npz` has what the tiny one computes with the tensors of `original_state` for the photograph `pixels()`, which
was its input without normalisation: the three maps after `forward_image`, the coarsest plus `no_mem_embed`
(`level0` to `level2`, every 4th channel, 2nd row and 2nd column), and the first mask of `sam_mask_decoder` for a point
of label −1 (`no_prompt`) and for a positive click at x 40, y 90 (`click`).
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from f2vbench.config.base import overlay
from f2vbench.encoders.sam2_configuration import RELEASED
from f2vbench.encoders.sam2_weights import with_transformers_names

RECORDED = Path(__file__).parents[1] / "encoders" / "sam2_original"
SIDE = 128
CLICK = (40.0, 90.0)
TINY: dict[str, Any] = overlay(
    RELEASED["hiera-tiny"],
    {
        "vision_config": {
            "backbone_config": {
                "hidden_size": 8,
                "blocks_per_stage": [1, 2, 3, 1],
                "embed_dim_per_stage": [8, 16, 32, 64],
                "global_attention_blocks": [4],
            },
            "backbone_channel_list": [64, 32, 16, 8],
            "fpn_hidden_size": 32,
        },
        "prompt_encoder_config": {"hidden_size": 32, "image_size": SIDE},
        "mask_decoder_config": {"hidden_size": 32},
    },
)


def pixels() -> Tensor:
    """A photograph of noise, (1, 3, 128, 128) in [0, 1]."""
    return torch.from_numpy(np.random.RandomState(0).random_sample((1, 3, SIDE, SIDE)).astype(np.float32))


def shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors of Meta's modules: `tiny` or `hiera-small`."""
    return {key: tuple(shape) for key, shape in json.loads((RECORDED / f"{name}.json").read_text()).items()}


def original_state() -> dict[str, Tensor]:
    """Tensors of the tiny SAM2 in the original layout; each has its own random stream."""
    state = {}
    for name, shape in shapes("tiny").items():
        noise = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape) * 0.2
        is_norm = name.endswith("weight") and len(shape) == 1
        state[name] = torch.from_numpy((noise + is_norm).astype(np.float32))
    return state


def write_original(path: Path) -> Path:
    """Write a file as Meta releases it."""
    torch.save({"model": original_state()}, path)
    return path


def write_training_checkpoint(path: Path) -> Path:
    """Write a file as Medical-SAM2's training saves it."""
    state = original_state()
    optimiser = {"state": {0: {"step": torch.tensor(1.0), "exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 1e-4}]}
    paths = {"prefix": "logs/REFUGE", "ckpt_path": "logs/REFUGE/Model"}
    content = {"epoch": 9, "model": "sam2", "state_dict": state, "optimizer": optimiser, "best_dice": 0.8}
    torch.save({**content, "best_tol": 0.1, "path_helper": paths}, path)
    return path


def write_hub_folder(folder: Path) -> Path:
    """Write the tiny SAM2 with the same tensors as transformers saves it: `config.json` and `model.safetensors`."""
    from transformers import Sam2Config, Sam2Model

    model = Sam2Model(Sam2Config(**TINY))
    model.load_state_dict(with_transformers_names(original_state(), "tiny"), strict=False)
    model.save_pretrained(folder)
    return folder
