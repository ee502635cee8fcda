#!/usr/bin/env bash
# timm and transformers: the same DINOv2 weights at another image size than that of the weights.
#
# Expected: one architecture with equal weights gives equal embeddings in both libraries, at every image size.
# Observed (timm 1.0.31, transformers 5.24.0): at 518 pixels, the size of DINOv2's weights, they are equal. At every
#           other size they are not, because timm resizes the position embedding (37 × 37) with an antialiasing filter
#           and transformers without one. Patch tokens differ most where images are smaller, as the usual 224 pixels.
#           Without the filter (antialias=False) timm's positions equal those of transformers to the last bit.
# Who meets it: whoever compares embeddings of retinal or other DINOv2 models that two libraries have computed.
#
# Exit status: 0 while this holds, 1 if the behaviour has changed, other values if the installation failed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/python" -m pip install --quiet --disable-pip-version-check \
    "torch==2.13.0" torchvision "timm==1.0.31" "transformers==5.24.0" "numpy>=2,<3"
"$work/env/bin/python" - <<'PY'
import sys

import torch

try:
    import torchvision  # noqa: F401
except RuntimeError:  # built for another torch: timm needs only the names of two of its operators
    for name in [module for module in sys.modules if module.startswith("torchvision")]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import timm
import transformers
from timm.layers import resample_abs_pos_embed
from transformers import Dinov2Config, Dinov2Model

WIDTH, DEPTH, GRID = 384, 12, 37
torch.manual_seed(0)
torch.set_grad_enabled(False)
settings = Dinov2Config(
    hidden_size=WIDTH, num_hidden_layers=DEPTH, num_attention_heads=6, image_size=518, patch_size=14
)
first = Dinov2Model(settings).eval()
for parameter in first.parameters():
    parameter.add_(0.02 * torch.randn_like(parameter))

# Positions that vary smoothly over the grid, as trained ones do: a sine wave of its own in each channel.
axis = torch.linspace(0, 1, GRID)
places = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1)
waves = torch.einsum("hwk,dk->hwd", places, 12 * torch.randn(WIDTH, 2)) + 6.28 * torch.rand(WIDTH)
first.embeddings.position_embeddings[0, 1:] = waves.sin().reshape(-1, WIDTH)

source = first.state_dict()
state = {
    "cls_token": source["embeddings.cls_token"],
    "pos_embed": source["embeddings.position_embeddings"],
    "patch_embed.proj.weight": source["embeddings.patch_embeddings.projection.weight"],
    "patch_embed.proj.bias": source["embeddings.patch_embeddings.projection.bias"],
    "norm.weight": source["layernorm.weight"],
    "norm.bias": source["layernorm.bias"],
}
renamed = {"norm1": "norm1", "norm2": "norm2", "attn.proj": "attention.o_proj", "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2"}
for block in range(DEPTH):
    ours, theirs = f"blocks.{block}.", f"encoder.layer.{block}."
    for kind in ("weight", "bias"):
        for name, other in renamed.items():
            state[f"{ours}{name}.{kind}"] = source[f"{theirs}{other}.{kind}"]
        parts = [source[f"{theirs}attention.{part}_proj.{kind}"] for part in "qkv"]
        state[f"{ours}attn.qkv.{kind}"] = torch.cat(parts)
    for scale in "12":
        state[f"{ours}ls{scale}.gamma"] = source[f"{theirs}layer_scale{scale}.lambda1"]
second = timm.create_model("vit_small_patch14_dinov2", img_size=518, dynamic_img_size=True).eval()
second.load_state_dict(state)

print(f"torch {torch.__version__}, timm {timm.__version__}, transformers {transformers.__version__}; equal weights")
print("size  largest difference of tokens  difference of positions  the same without antialiasing")
tokens, positions, unfiltered = {}, {}, {}
for size in (518, 224, 336, 602):
    cells = size // 14
    image = torch.randn(1, 3, size, size)
    tokens[size] = float((first(image).last_hidden_state - second.forward_features(image)).abs().max())
    theirs = first.embeddings.interpolate_pos_encoding(torch.zeros(1, 1 + cells**2, WIDTH), size, size)
    for antialias, found in ((True, positions), (False, unfiltered)):
        ours = resample_abs_pos_embed(state["pos_embed"], (cells, cells), num_prefix_tokens=1, antialias=antialias)
        found[size] = float((ours - theirs).abs().max())
    print(f"{size:4d}  {tokens[size]:28.5f}  {positions[size]:23.5f}  {unfiltered[size]:29.5f}")

others = [size for size in tokens if size != 518]
equal = max(tokens[518], positions[518], *unfiltered.values()) < 1e-4
as_observed = equal and all(tokens[size] > 0.01 and positions[size] > 0.01 for size in others)
print("as observed: equal at 518 pixels alone" if as_observed else "CHANGED: see the differences above")
sys.exit(0 if as_observed else 1)
PY
