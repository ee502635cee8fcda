"""Open retinal encoders from their released files: FLAIR, UrFound and VisionFM.

Each file contains more than the encoder. The layouts are those that the owners' training code writes:

- FLAIR (Silva-Rodríguez et al., Medical Image Analysis 99, 2025): torchvision's ResNet-50 under `vision_model.model.`,
  with a projection and a text model.
- UrFound (Yu et al., MICCAI 2024): a ViT-B of a masked autoencoder under `model`, with a decoder and a text encoder.
- VisionFM (Qiu et al., NEJM AI 1(12), 2024): the teacher of an iBOT training under `teacher`, a ViT-B under `backbone.`
  with a head.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from f2vbench.encoders.retfound import Layout, find_released_file, translate_transformer
from f2vbench.encoders.spec import ModelSpec
from f2vbench.encoders.timm_encoder import Preprocessing, TimmEncoder
from f2vbench.encoders.timm_models import initial_seed, timm
from f2vbench.pretrained.state_dicts import load_in_parts

_FLAIR_ENCODER = "vision_model.model."
_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_VISIONFM_FUNDUS = (
    (0.423737496137619, 0.2609460651874542, 0.128403902053833),
    (0.29482534527778625, 0.20167365670204163, 0.13668020069599152),
)

LAYOUTS = {
    "flair": Layout(
        "resnet50",
        Preprocessing((512, 512), (0.0,) * 3, (1.0,) * 3, interpolation="bilinear", crops_to_field=True),
        ("vision_model.projection_head_vision.*", "text_model.*", "logit_scale"),
    ),
    "urfound": Layout(
        "vit_base_patch16_224",
        Preprocessing((224, 224), *_IMAGENET, interpolation="bicubic", shorter_side=256, crops_to_field=True),
        ("mask_token", "decoder_*", "bert_encoder.*", "bert_mlp.*"),
    ),
    "visionfm": Layout(
        "vit_base_patch16_224",
        Preprocessing((224, 224), *_VISIONFM_FUNDUS, interpolation="bilinear", crops_to_field=True),
        ("head.*",),
    ),
}
"""Layout of the released file of each family."""


def load_open_release(spec: ModelSpec, **size: Any) -> TimmEncoder:
    """A model of family `flair`, `urfound` or `visionfm`.

    The embedding is that of `TimmEncoder`: the average of the last feature map of FLAIR's ResNet, as in its linear
    probing, before the projection; the mean of the patch tokens after the final norm of the transformers. (UrFound's
    fine-tuning norms after the mean; VisionFM's linear probing reads class tokens.)

    Args:
        spec: Its `weights` are `released` (a file on this machine, else a download from the Hub where it has the file),
            `untrained`, or a file.
        size: Options of timm's network for other sizes than the released one, such as `embed_dim`.

    Raises:
        WeightsError: The weights are not available (the message says how to get them), damaged, or do not match the
            encoder tensor by tensor.
    """
    layout, path = LAYOUTS[spec.family], find_released_file(spec)
    if path is None:
        with initial_seed():
            return TimmEncoder(spec, _network(layout, size), layout.preprocessing)
    with torch.device("meta"):
        model = _network(layout, size)
    of_transformer = partial(translate_transformer, path=path, model=model, layout=layout)
    load_in_parts(model, path, _translate_flair if spec.family == "flair" else of_transformer, layout.ignore)
    return TimmEncoder(spec, model, layout.preprocessing)


def _network(layout: Layout, options: Mapping[str, Any]) -> Any:
    return timm.create_model(layout.architecture, num_classes=0, **options)


def _translate_flair(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under timm's names, which are torchvision's for a ResNet-50."""
    return {name.removeprefix(_FLAIR_ENCODER): tensor for name, tensor in state.items()}
