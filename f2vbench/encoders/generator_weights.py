"""What a weights file says about its pix2pixHD generator: shape, and preparation of photographs. Imports no torch.

Names of tensors are those of pix2pixHD's released checkpoints, `model.{layer}.weight` and, in residual blocks,
`model.{layer}.conv_block.{1, 5}.weight`. Number and width of layers and the channels follow from them; the rest is in
the JSON object `seen` in the metadata of the files that `f2vbench train` writes.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from f2vbench.encoders.model_family import UNTRAINED, VESSEL_CLASSES, GeneratorShape, ModelFamily, Skips
from f2vbench.encoders.registry import FAMILIES
from f2vbench.encoders.spec import ModelSpec
from f2vbench.errors import WeightsError, WeightsNote
from f2vbench.pretrained.checkpoints import read_metadata, read_tensor_shapes
from f2vbench.pretrained.state_dicts import without_prefix
from f2vbench.utils.files import Memo

T = TypeVar("T")

Shapes = Mapping[str, tuple[int, ...]]
"""Shapes of tensors by name."""

_METADATA_CHOICES = {  # values that a file's metadata may have; the first is the default
    "enlarge": ("1", "2", "4"),
    "photograph": ("plain", "normalised"),
    "phase": ("venous", "arterial", "late"),
    "skips": ("none", "additive"),
}
_COMMON_NAMES = ("model.1.weight", "model.1.bias", "model.4.weight", "model.4.bias")  # of every shape
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
_BLOCK = re.compile(r"model\.(\d+)\.conv_block\.\d+\.weight")
_SHAPES_MEMO = "generator-shapes-1.jsonl"


@dataclass(frozen=True)
class InputMetadata:
    """What the metadata of a weights file say.

    Attributes:
        enlarge: Factor by which photographs are enlarged.
        normalised: Whether photographs are without their shading.
        phase: Phase of the frame of a single-frame model.
        skips: Connections between the halves of the generator.
    """

    enlarge: int = 1
    normalised: bool = False
    phase: str = "venous"
    skips: Skips = "none"


def read_input_metadata(path: Path | None) -> InputMetadata:
    """The metadata of a weights file, with defaults for what they do not say.

    Args:
        path: The file; None for untrained weights.

    Raises:
        WeightsError: The metadata are damaged, or have unknown values.
    """
    notes = {} if path is None else _metadata(path)
    values = {key: notes.get(key, choices[0]) for key, choices in _METADATA_CHOICES.items()}
    for key, choices in _METADATA_CHOICES.items():
        if values[key] not in choices:
            raise WeightsError(f"{path}: {key}={values[key]} in its metadata; {' or '.join(choices)}: export it again")
    skips: Skips = "additive" if values["skips"] == "additive" else "none"
    return InputMetadata(int(values["enlarge"]), values["photograph"] == "normalised", values["phase"], skips)


def read_generator_shape(family: ModelFamily, weights: str) -> GeneratorShape:
    """Shape of the generator of a family with these weights.

    Args:
        family: A family of generators.
        weights: A weights file, or `untrained` for the published shape.

    Raises:
        WeightsError: The file is missing or damaged, contains no pix2pixHD generator, or one of another family.
    """
    published = published_shape(family.name)
    if weights == UNTRAINED:
        return published
    path = Path(weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WeightsNote)  # loading says it
        shapes = generator_tensors(_tensor_shapes(path), path)
    return shape_of_tensors(shapes, family, weights, read_input_metadata(path).skips)


def embedding_width(spec: ModelSpec) -> int:
    """Length of an embedding of a pix2pixHD generator, without loading it.

    Raises:
        WeightsError: As `read_generator_shape`.
    """
    return read_generator_shape(FAMILIES[spec.family], spec.weights).embedding_width(spec.pooling)


def shape_of_tensors(shapes: Shapes, family: ModelFamily, weights: str, skips: Skips = "none") -> GeneratorShape:
    """Shape of the generator that has tensors of these names and shapes.

    Tensors that the shape needs may be missing, and there may be others; the comparison with a generator of this shape
    lists them.

    Args:
        shapes: Shapes of the file's tensors by name.
        family: The family that the file is loaded for.
        weights: The file, for messages.
        skips: Connections between the halves, which no tensor shows.

    Raises:
        WeightsError: No global generator of pix2pixHD has such tensors, or one of another family.
    """
    first = shapes.get("model.1.weight", ())
    blocks = sorted({int(block[1]) for name in shapes if (block := _BLOCK.fullmatch(name))})
    if len(first) != 4 or not blocks:
        raise WeightsError(f"{weights}: {_not_a_generator(shapes)}")
    downsamplings, rest = divmod(blocks[0] - 4, 3)
    if rest or downsamplings < 1 or blocks != list(range(blocks[0], blocks[-1] + 1)):
        raise WeightsError(
            f"{weights}: its residual blocks are the layers {', '.join(map(str, blocks))}; those of a pix2pixHD global "
            "generator start at 4 + 3 × (downsampling layers), without gaps. Another network, or a damaged export"
        )
    found = GeneratorShape(first[1], 0, first[0], downsamplings, len(blocks), skips)
    if first[1] in (4, 7):  # a photograph, with or without three frames, and the time plane
        found = replace(found, inputs=first[1] - 1, time="plane")
    published = published_shape(family.name)
    last = shapes.get(f"model.{found.last_convolution}.weight", ())
    outputs = last[0] if len(last) == 4 else published.outputs
    found = replace(found, outputs=outputs, classes=(*shapes.get("model.truth_bias", ()), 0)[0])
    _check_family(found, family, weights)
    return found


def generator_tensors(tensors: Mapping[str, T], path: Path) -> dict[str, T]:
    """Tensors of a file under the names of released checkpoints, without prefix and instance-norm statistics.

    Args:
        tensors: Tensors of the file, or their shapes, by name.
        path: The file, for messages.

    Raises:
        WeightsError: The file contains several generators.

    Warns:
        WeightsNote: A prefix or statistics were removed.
    """
    named = without_prefix(tensors, _COMMON_NAMES, path)
    statistics = {name for name in named if name.rpartition(".")[2] in _STATISTICS}
    if statistics:
        warnings.warn(
            f"{path}: {len(statistics)} statistics of instance norms are not used, because the generator normalises "
            "each photograph by its own",
            WeightsNote,
            stacklevel=2,
        )
    return {name: tensor for name, tensor in named.items() if name not in statistics}


def published_shape(family: str) -> GeneratorShape:
    """Shape of the published generator of a family.

    Raises:
        ValueError: The family is no pix2pixHD generator.
    """
    shape = FAMILIES[family].generator
    if shape is None:
        raise ValueError(f"{family} is no pix2pixHD generator")
    return shape


def _tensor_shapes(path: Path) -> Shapes:
    """Shapes of the tensors of a file. Those of a file that only torch can read are cached."""
    if path.suffix == ".safetensors" or not path.is_file():
        return read_tensor_shapes(path)
    memo = Memo(_SHAPES_MEMO)
    shapes = memo.get(path)
    if not isinstance(shapes, dict):
        shapes = {name: list(shape) for name, shape in read_tensor_shapes(path).items()}
        memo.put(path, shapes)
    return {name: tuple(shape) for name, shape in shapes.items()}


def _metadata(path: Path) -> dict[str, str]:
    """The JSON object that `f2vbench train` writes as `seen` into the metadata of its weights."""
    try:
        notes = json.loads(read_metadata(path).get("seen", "{}"))
    except ValueError:
        notes = None
    if not isinstance(notes, dict):
        raise WeightsError(f"{path}: its metadata can't be read (seen is no JSON object): export it again")
    return notes


def _not_a_generator(shapes: Shapes) -> str:
    """Why no global generator has these tensors."""
    names = ", ".join(sorted(shapes)[:3])
    if any(name.startswith(("model1_1.", "model1_2.")) for name in shapes):
        return "a local enhancer of pix2pixHD (netG=local); only its global generator (netG=global) is supported"
    return (
        "no pix2pixHD generator: model.1.weight or the residual blocks model.<layer>.conv_block.1.weight are missing; "
        f"its {len(shapes)} tensors are {names}, …. Nothing is loaded: name the model that these weights belong to"
    )


def _check_family(found: GeneratorShape, family: ModelFamily, weights: str) -> None:
    """Check that channels are those of a family."""
    inputs, outputs = _input_channels(family), _output_channels(family)
    fits = found.outputs >= VESSEL_CLASSES.stop if outputs is None else found.outputs in outputs
    if fits and found.input_channels in inputs:
        return
    others = [
        other.name
        for other in FAMILIES.values()
        if other.generator is not None and other.name != family.name and found.input_channels in _input_channels(other)
    ]
    hint = f"; a generator of {found.input_channels} inputs may be model={others[0]}:<weights file>" if others else ""
    expected = f"{VESSEL_CLASSES.stop} or more" if outputs is None else " or ".join(map(str, outputs))
    raise WeightsError(
        f"{weights}: this generator has {found.input_channels} input and {found.outputs} output channels, "
        f"{family.name} has {published_shape(family.name).inputs} and {expected}{hint}"
    )


def _input_channels(family: ModelFamily) -> tuple[int, ...]:
    """Channels of the first convolution that a family may have: images, with or without the time plane."""
    if family.frames > 1:
        return 6, 7, 4
    return (3,) if family.predicts_truth else (3, 4)


def _output_channels(family: ModelFamily) -> tuple[int, ...] | None:
    """Output channels that a family may have; None for any number of classes."""
    if family.predicts_truth:
        return None
    return (published_shape(family.name).outputs,) if family.frames > 1 else (1, 3)
