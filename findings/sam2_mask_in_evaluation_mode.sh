#!/usr/bin/env bash
# transformers: the mask of SAM2 in training and in evaluation mode.
#
# Expected: SAM2's mask decoder has neither dropout nor batch normalisation, so that train() and eval() give the same mask
#           for the same weights and inputs.
# Observed (transformers 5.24.0): with multimask_output=False, eval() replaces a first mask that is unstable (few of its
#           pixels keep their class when the threshold moves by ± 0.05) by the best of three other masks. A loss in train()
#           never sees these three: fine-tuning trains one mask, and evaluation may return another. With
#           mask_decoder.dynamic_multimask_via_stability = False both modes are equal.
# Who meets it: whoever fine-tunes the mask decoder for vessels or lesions with the only mask that it returns, and validates
#           in evaluation mode.
#
# Exit status: 0 while this holds, 1 if the behaviour has changed, other values if the installation failed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/python" -m pip install --quiet --disable-pip-version-check \
    "torch==2.13.0" torchvision "transformers==5.24.0" "numpy>=2,<3"
"$work/env/bin/python" - <<'PY'
import sys

import torch

try:
    import torchvision  # noqa: F401
except RuntimeError:  # built for another torch: only the names of two of its operators are needed
    for name in [module for module in sys.modules if module.startswith("torchvision")]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import transformers
from transformers import Sam2Config, Sam2Model

torch.manual_seed(0)
torch.set_grad_enabled(False)
backbone = {
    "model_type": "sam2_hiera_det_model", "hidden_size": 16, "num_attention_heads": 1, "image_size": [128, 128],
    "blocks_per_stage": [1, 2, 3, 1], "embed_dim_per_stage": [16, 32, 64, 128],
    "num_attention_heads_per_stage": [1, 2, 4, 8], "window_size_per_stage": [8, 4, 4, 4],
    "global_attention_blocks": [5], "window_positional_embedding_background_size": [4, 4],
}
vision = {"backbone_config": backbone, "backbone_channel_list": [128, 64, 32, 16], "fpn_hidden_size": 32,
          "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]]}
model = Sam2Model(Sam2Config(
    vision_config=vision,
    prompt_encoder_config={"hidden_size": 32, "image_size": 128, "mask_input_channels": 8},
    mask_decoder_config={"hidden_size": 32, "mlp_dim": 64, "num_attention_heads": 2, "iou_head_hidden_dim": 32},
))
assert not [m for m in model.mask_decoder.modules() if isinstance(m, (torch.nn.Dropout, torch.nn.BatchNorm2d))]
for parameter in model.parameters():
    parameter.add_(0.02 * torch.randn_like(parameter))


def masks(images, several=False):
    return model(pixel_values=images, multimask_output=several).pred_masks[:, 0]


photographs = torch.randn(8, 3, 128, 128)
trained, evaluated = [], []
others = []
for image in photographs.split(1):
    model.train()
    trained.append(masks(image))
    model.eval()
    evaluated.append(masks(image))
    others.append(masks(image, several=True))
replaced = [not torch.allclose(a, b, atol=1e-6) for a, b in zip(trained, evaluated)]
among = [any(torch.allclose(b[0, 0], other, atol=1e-6) for other in group[0]) for b, group in zip(evaluated, others)]
model.mask_decoder.dynamic_multimask_via_stability = False
equal = all(torch.allclose(a, masks(image), atol=1e-6) for a, image in zip(trained, photographs.split(1)))

print(f"torch {torch.__version__}, transformers {transformers.__version__}; random weights, {len(photographs)} images")
print(f"images whose mask differs between train() and eval(): {sum(replaced)}")
print(f"of these, the mask of eval() is one of the three other masks: {sum(a for a, r in zip(among, replaced) if r)}")
print(f"equal with dynamic_multimask_via_stability=False: {equal}")
as_observed = any(replaced) and all(a for a, r in zip(among, replaced) if r) and equal
print("as observed: evaluation returns masks that training does not see" if as_observed else "CHANGED: see above")
sys.exit(0 if as_observed else 1)
PY
