"""Files in RETFound's released layouts, at tiny size."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.retfound import load_retfound
from f2vbench.encoders.timm_encoder import TimmEncoder
from f2vbench.encoders.timm_models import timm

TINY = {"embed_dim": 32, "depth": 4, "num_heads": 2}
ARCHITECTURES = {
    "mae": "vit_large_patch16_224",
    "dinov2": "vit_large_patch14_dinov2",
    "green": "vit_small_patch14_reg4_dinov2",
}

StateDict = dict[str, Tensor]


def random_network(kind: str, side: int = 224, **options: Any) -> nn.Module:
    """timm's own network with weights that no initialisation gives."""
    network: nn.Module = timm.create_model(
        ARCHITECTURES[kind], num_classes=0, img_size=side, dynamic_img_size=True, **TINY, **options
    )
    stream = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=stream))
    return network.eval()


def mae_checkpoint(state: StateDict) -> dict[str, Any]:
    """A training checkpoint: encoder and decoder, AdamW's state, scaler, options."""
    decoder = {
        "mask_token": torch.zeros(1, 1, 16),
        "decoder_pos_embed": torch.zeros(1, 197, 16),
        "decoder_embed.weight": torch.zeros(16, 32),
        "decoder_blocks.0.attn.qkv.weight": torch.zeros(48, 16),
        "decoder_norm.bias": torch.zeros(16),
        "decoder_pred.weight": torch.zeros(768, 16),
    }
    model = {**state, **decoder}
    optimizer = torch.optim.AdamW([nn.Parameter(tensor.clone()) for tensor in model.values()])
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return {
        "model": model,
        "optimizer": optimizer.state_dict(),
        "epoch": 799,
        "scaler": {"scale": 65536.0, "_growth_tracker": 7},
        "args": argparse.Namespace(model="mae_vit_large_patch16", blr=1.5e-4),
    }


def dinov2_checkpoint(state: StateDict, chunked: bool = False, gated: bool = False) -> dict[str, Any]:
    """The teacher of a DINOv2 training, with its heads."""
    teacher = {"dino_head.last_layer.weight_v": torch.zeros(8, 4), "ibot_head.mlp.0.weight": torch.zeros(4, 4)}
    for key, tensor in (state | {"mask_token": torch.zeros(1, 32)}).items():
        if gated:
            key = key.replace("mlp.fc1", "mlp.w12").replace("mlp.fc2", "mlp.w3")
        if chunked and key.startswith("blocks."):
            key = f"blocks.{int(key.split('.')[1]) // 2}.{key.removeprefix('blocks.')}"
        teacher[f"backbone.{key}"] = tensor
    return {"teacher": teacher, "iteration": 12}


def save_and_load(path: Path, content: object, family: str = "retfound", suffix: str = "", **size: Any) -> TimmEncoder:
    """The tiny encoder of a file with this content; `suffix` is the end of its argument, such as `@mean`."""
    torch.save(content, path)
    encoder: TimmEncoder = load_retfound(parse_model(f"{family}:{path}{suffix}"), **TINY, **size).eval()
    return encoder


def has_weights_of(encoder: TimmEncoder, network: nn.Module) -> bool:
    """Whether an encoder has exactly the tensors of a network."""
    found, expected = encoder.model.state_dict(), network.state_dict()
    return found.keys() == expected.keys() and all(torch.equal(found[key], expected[key]) for key in expected)
