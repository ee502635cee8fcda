"""SAM2 (Ravi et al. 2024) as an encoder: the maps that its mask decoder reads, and their mean as an embedding.

The network is transformers' `Sam2Model`, which the extra `f2vbench[sam2]` installs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from f2vbench.encoders.base import Encoder, check_photographs, resize_uint8
from f2vbench.encoders.model_family import UNTRAINED
from f2vbench.encoders.registry import FAMILIES
from f2vbench.encoders.sam2_configuration import (
    DEFAULT_CONFIGURATION,
    RELEASED,
    Configuration,
    configuration_beside,
    released_name,
)
from f2vbench.encoders.sam2_weights import VIDEO_NAMES, find_configuration, with_transformers_names
from f2vbench.encoders.spec import INIT_SEED, ModelSpec
from f2vbench.errors import SettingsError, WeightsError
from f2vbench.pretrained.checkpoints import read_state_dict
from f2vbench.pretrained.hub import fetch_weights
from f2vbench.pretrained.state_dicts import match_state_dict
from f2vbench.pretrained.weights_cards import weights_card
from f2vbench.utils.torchvision_compat import allow_missing_torchvision_ops

MEDICAL = "medical-sam2"

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Sam2Encoder(Encoder):
    """The image encoder of SAM2 with the layers that precede its mask decoder.

    `pyramid` returns what the mask decoder reads for one image, for squares of exactly `embed_size`: the maps of stride
    4 and 8 after `conv_s0` and `conv_s1`, and the map of stride 16 plus the embedding for "no memory". An embedding is
    the mean of that last map. `sam2` normalises with ImageNet's mean and standard deviation, as SAM2 does;
    `medical-sam2` receives photographs in [0, 1], as in Medical-SAM2's code for 2-D images.

    Args:
        spec: The specification that it was built from.
        model: The `Sam2Model` with its weights.

    Attributes:
        model: The network; `Sam2Decoder` copies its mask decoder.
    """

    _mean: Tensor
    _std: Tensor

    def __init__(self, spec: ModelSpec, model: Any):
        super().__init__()
        self.spec = spec
        self.model = model
        self.width = model.config.mask_decoder_config.hidden_size
        self.channels = (self.width // 8, self.width // 4, self.width)
        self.strides = (4, 8, 16)
        side = model.config.prompt_encoder_config.image_size
        self.multiple, self.embed_size = side, (side, side)
        mean, std = ((0.0,) * 3, (1.0,) * 3) if spec.family == MEDICAL else (_MEAN, _STD)
        self.register_buffer("_mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("_std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def prepare(self, images: Tensor) -> Tensor:
        """(n, 3, *embed_size) normalised input of (n, 3, h, w) uint8 photographs, resized bilinearly."""
        return self._normalise(resize_uint8(images, self.embed_size, "bilinear"))

    def pooled(self, prepared: Tensor) -> Tensor:
        """(n, width) means of the map of stride 16."""
        return self._maps(prepared)[-1].mean((2, 3))

    def pyramid(self, x: Tensor) -> list[Tensor]:
        """Maps of strides 4, 8 and 16; see the class.

        Args:
            x: (n, 3, *embed_size) floating-point RGB in [0, 1].

        Raises:
            DataError: Another shape or type.
        """
        check_photographs(x, side=self.embed_size[0])
        return self._maps(self._normalise(x))

    def _normalise(self, x: Tensor) -> Tensor:
        return (x - self._mean) / self._std

    def _maps(self, x: Tensor) -> list[Tensor]:
        decoder = self.model.mask_decoder
        fine, middle, coarse = self.model.vision_encoder(x).fpn_hidden_states
        no_memory = self.model.no_memory_embedding.reshape(1, -1, 1, 1)
        return [decoder.conv_s0(fine), decoder.conv_s1(middle), coarse + no_memory]


def load_sam2(spec: ModelSpec) -> Sam2Encoder:
    """A model of family `sam2` or `medical-sam2`.

    Args:
        spec: Its `weights` are `released` (a file on this machine, else a download from the Hub), `untrained`, or a
            file in the original layout or in that of the Hugging Face Hub. A `config.json` beside a safetensors file
            decides its shape; without one, the tensors do.

    Raises:
        SettingsError: transformers has no `Sam2Model`.
        WeightsError: The weights are not available, damaged, of another size, or do not match tensor by tensor.
    """
    if spec.weights == UNTRAINED:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(INIT_SEED)
            return Sam2Encoder(spec, sam2_model(RELEASED[DEFAULT_CONFIGURATION], spec.name))
    card = FAMILIES[spec.family].card_of(spec.architecture)
    path = spec.weights_file or fetch_weights(weights_card(card))
    state = with_transformers_names(read_state_dict(path), path)
    configuration = configuration_beside(path)
    if configuration is None:
        name = find_configuration(state, path)
        configuration = RELEASED[name]
        _check_variant(spec, name, path)
    with torch.random.fork_rng(devices=[]):  # transformers draws tensors that are overwritten below
        model = sam2_model(configuration, str(path))
    match_state_dict(model, state, path, ignore=VIDEO_NAMES)
    return Sam2Encoder(spec, model)


def sam2_model(configuration: Configuration, name: str) -> Any:
    """An untrained `Sam2Model` in evaluation mode, with weights from the global random state.

    Args:
        configuration: Its shape.
        name: Where the configuration comes from, for messages.

    Raises:
        SettingsError: transformers is not installed, or too old.
        WeightsError: transformers can't build a network of this shape.
    """
    allow_missing_torchvision_ops()
    try:
        from transformers import Sam2Config, Sam2Model
    except ImportError as error:
        raise SettingsError(
            f"{name}: transformers with Sam2Model can't be imported ({error}): pip install 'f2vbench[sam2]'"
        ) from error
    try:
        model: Any = Sam2Model(Sam2Config(**configuration))
        return model.eval()
    except (ValueError, TypeError, RuntimeError) as error:
        raise WeightsError(
            f"{name}: transformers can't build this shape of SAM2 ({type(error).__name__}: {error}); correct "
            "config.json"
        ) from error


def _check_variant(spec: ModelSpec, name: str, path: Path) -> None:
    """Raise a WeightsError where the file of a released variant has another size."""
    wanted = DEFAULT_CONFIGURATION if spec.family == MEDICAL else released_name(spec.architecture)
    if spec.weights_file is None and name != wanted:
        raise WeightsError(
            f"{path}: contains {name}, and {spec.name} needs {wanted}; name the file in the argument, as in "
            f"model={spec.family}:{path.name}, or put the right file in its place"
        )
