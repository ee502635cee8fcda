"""Any timm model by its name, with timm's weights, a file, or untrained."""

from __future__ import annotations

import difflib
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from f2vbench.encoders.model_family import UNTRAINED
from f2vbench.encoders.spec import INIT_SEED, ModelSpec
from f2vbench.encoders.timm_encoder import Preprocessing, TimmEncoder
from f2vbench.errors import SettingsError, WeightsError, WeightsNote
from f2vbench.pretrained.checkpoints import read_state_dict
from f2vbench.pretrained.hub import check_hub
from f2vbench.pretrained.state_dicts import match_state_dict, without_prefix
from f2vbench.utils.torchvision_compat import allow_missing_torchvision_ops

allow_missing_torchvision_ops()

import timm as timm  # noqa: E402  (other modules import it from here, after the line above)

_POSITIONS = re.compile(r"pos_embed|relative_position")


@contextmanager
def initial_seed() -> Iterator[None]:
    """Within it, untrained weights are drawn with the fixed seed; afterwards the global random state is restored."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(INIT_SEED)
        yield


def load_timm(spec: ModelSpec, **options: Any) -> TimmEncoder:
    """A model of family `timm`, with the normalisation, size and interpolation of timm's configuration.

    Args:
        spec: Its `weights` are `hub`, `untrained`, or a file with a timm state dict.
        options: Keyword arguments of timm's `create_model`.

    Raises:
        SettingsError: timm has no such model or tag, or the model does not accept RGB photographs.
        WeightsError: The weights can't be downloaded, or the file is damaged or of another model.
    """
    name = spec.architecture
    check_name(name, needs_tag=spec.weights == "hub")
    with initial_seed():
        try:
            if spec.weights == "hub" and not _is_cached(name):
                check_hub()
            model, flexible = create(name, pretrained=spec.weights == "hub", **options)
        except Exception as error:
            if spec.weights != "hub":
                raise
            raise _download_failed(spec, error) from error
    if spec.weights_file is not None:
        path = spec.weights_file
        state = without_prefix(read_state_dict(path), model.state_dict(), path)
        match_state_dict(model, resized_positions(state, model, path), path, ignore=_classifier_keys(model))
    fixed = bool(model.pretrained_cfg.get("fixed_input_size")) and not flexible
    return TimmEncoder(spec, model, preprocessing_of(spec, model.pretrained_cfg), fixed)


def resized_positions(state: dict[str, Tensor], model: Any, path: Path) -> dict[str, Tensor]:
    """Tensors of a file with timm's position embeddings on the model's grid, as timm itself resizes them.

    Args:
        state: Tensors of the file by name.
        model: The network.
        path: The file, for messages.

    Warns:
        WeightsNote: Tensors were resized.
    """
    convert = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    expected = model.state_dict()
    differing = [name for name in expected if name in state and state[name].shape != expected[name].shape]
    if convert is None or not differing or not all(_POSITIONS.search(name) for name in differing):
        return state
    resized: dict[str, Tensor] = convert(dict(state), model)
    warnings.warn(
        f"{path}: position embeddings resized to the model's image size ({', '.join(differing[:3])})",
        WeightsNote,
        stacklevel=2,
    )
    # The filter of timm leaves out names that it does not know; those of the file must be compared.
    return {**{name: tensor for name, tensor in state.items() if name not in differing}, **resized}


def _is_cached(name: str) -> bool:
    """Whether an earlier download of a model's weights is on this machine, or the weights are not on the Hub."""
    from huggingface_hub import try_to_load_from_cache

    config = timm.get_pretrained_cfg(name)
    if config is None or not config.hf_hub_id:
        return True
    files = ("model.safetensors", "pytorch_model.bin", "open_clip_model.safetensors", "open_clip_pytorch_model.bin")
    return any(isinstance(try_to_load_from_cache(config.hf_hub_id, file), str) for file in files)


def create(name: str, classes: int = 0, **options: Any) -> tuple[Any, bool]:
    """The model, and whether it accepts photographs of any size because its architecture has that option.

    Args:
        name: timm's name of the model.
        classes: Number of outputs of its head; 0 for an encoder without head.
        options: Keyword arguments of timm's `create_model`.
    """
    try:
        return timm.create_model(name, num_classes=classes, dynamic_img_size=True, **options), True
    except TypeError as error:
        if "dynamic_img_size" not in str(error):
            raise
    return timm.create_model(name, num_classes=classes, **options), False


def preprocessing_of(spec: ModelSpec, config: Mapping[str, Any]) -> Preprocessing:
    """The preprocessing in timm's configuration of a model.

    Args:
        spec: The model.
        config: Its configuration in timm.

    Raises:
        SettingsError: The model does not accept RGB photographs.
    """
    channels, height, width = config["input_size"]
    if channels != 3:
        raise SettingsError(f"model={spec.name}: its input has {channels} channels, photographs have 3")
    interpolation = "bilinear" if config["interpolation"] == "bilinear" else "bicubic"
    return Preprocessing((height, width), tuple(config["mean"]), tuple(config["std"]), interpolation)


def check_name(name: str, needs_tag: bool) -> None:
    """Check that timm has the model and, where its weights are needed, weights for it.

    Args:
        name: timm's name of the model.
        needs_tag: Whether its weights are needed.

    Raises:
        SettingsError: timm has no such model or tag.
        WeightsError: timm has no weights for it.
    """
    if not timm.is_model(name):
        similar = difflib.get_close_matches(name, timm.list_models(), n=3)
        hint = f"; similar names: {', '.join(similar)}" if similar else "; timm.list_models() lists all"
        raise SettingsError(f"model=timm:{name}: timm {timm.__version__} has no model of that name{hint}")
    architecture, _, tag = name.partition(".")
    with_weights = timm.list_models(f"{architecture}*", pretrained=True)
    tags = [known for known in with_weights if known.partition(".")[0] == architecture]
    if tag and name not in tags:
        raise SettingsError(
            f"model=timm:{name}: timm has no weights tagged '{tag}' for {architecture}; there are "
            f"{', '.join(tags) or 'none'}"
        )
    if needs_tag and not tags:
        raise WeightsError(
            f"model=timm:{name}: timm has no weights for it; write timm:{name}:{UNTRAINED}, or "
            f"timm:{name}:<weights file>"
        )


def _download_failed(spec: ModelSpec, error: Exception) -> WeightsError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    config = timm.models.get_pretrained_cfg(spec.architecture)
    repository = config.hf_hub_id if config is not None and config.hf_hub_id else "timm"
    return WeightsError(
        f"model={spec.name}: its weights could not be downloaded from the Hugging Face Hub ({type(error).__name__}: "
        f"{reason}). Check the connection; for a gated model accept its terms at "
        f"https://huggingface.co/{repository} and run `hf auth login`; HF_HUB_OFFLINE=1 uses the local "
        f"cache; or name a file with timm:{spec.architecture}:<path>, or use timm:{spec.architecture}:{UNTRAINED}"
    )


def _classifier_keys(model: Any) -> tuple[str, ...]:
    """Patterns of the names of the classifier's tensors, which an encoder does not have."""
    named = model.pretrained_cfg.get("classifier") or ()
    return tuple(f"{name}.*" for name in ([named] if isinstance(named, str) else named))
