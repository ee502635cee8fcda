"""Heads in files: what an adapter fits on the embeddings of an encoder, stored so that it can be applied to others.

A file is a safetensors block. Its header has one entry with the facts about the head as JSON. A head with a closed form
is stored as the embeddings and labels of its support images, from which the same head is fitted again, and with its
outputs for them, which a fit by other code has to reproduce. A perceptron is stored as its parameters.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load, save

from f2vbench.data.task_cards import Modality
from f2vbench.errors import StoreError
from f2vbench.utils.files import canonical_json, sha256

Method = Literal["kernel-classifier", "perceptron", "kernel-regression", "cox"]
"""Of the modules `f2vbench.heads.wide_mlp`, `mlp`, `wide_mlp_regression` and `cox`."""

Arrays = dict[str, NDArray[Any]]
Predict = Callable[[NDArray[np.float32]], NDArray[np.float64]]

_ENTRY = "f2vbench_head"
_FORMAT: Literal[1] = 1
# Largest difference of outputs, relative to the largest output, between the stored fit and a fit on another machine.
_TOLERANCE = 1e-3
_REQUIRED: dict[Method, tuple[str, ...]] = {
    "kernel-classifier": ("support", "targets", "support_outputs"),
    "kernel-regression": ("support", "values", "support_outputs"),
    "cox": ("support", "time", "event", "patient", "support_outputs"),
    "perceptron": ("mean", "deviation", "layer0.weight", "layer0.bias"),
}


@dataclass(frozen=True)
class TrainedHead:
    """A head as an adapter hands it over for storage.

    Attributes:
        method: How it predicts.
        arrays: What it predicts with. `support` (m, width) and `targets` (m, classes) of a `kernel-classifier`;
            `support` and `values` (m,) of `kernel-regression`; `support`, `time`, `event` and `patient` (m,) of `cox`;
            `mean` and `deviation` (width,) and `layer<i>.…` of a `perceptron`.
        outputs: Names of its outputs: the classes, `value`, or `risk`.
        multi_label: Whether an image can have several classes.
    """

    method: Method
    arrays: Arrays
    outputs: tuple[str, ...]
    multi_label: bool = False


class HeadFacts(BaseModel):
    """What is known about a stored head.

    Attributes:
        format: Version of the file format.
        method: How it predicts.
        outputs: Names of its outputs: the classes, `value`, or `risk`.
        multi_label: Whether an image can have several classes.
        width: Width of the embeddings.
        family: Task family.
        unit_of_numbers: Unit of the value or of the horizon.
        modality: Of the images, as in the task card.
        horizon: Time until which the risk of the event is predicted; None for other families.
        task: Name of the task.
        protocol: Evaluation protocol.
        shots: Number of support images, for classification per class; None for all.
        seed: Index of the seed.
        fingerprint: SHA-256 of everything that decided the unit's result.
        encoder: Name of the encoder.
        spec: Fields of its `ModelSpec`.
        identity: Its `ModelSpec.identity`.
        weights: Its weights, as tables name them.
        weights_sha256: SHA-256 of its tensors; None for a baseline without weights.
        precision: Arithmetic of the encoder.
        field_of_view: Version of the field-of-view code.
        software: Version of f2vbench.
        sha256: SHA-256 of the arrays and of all other facts.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = _FORMAT
    method: Method
    outputs: tuple[str, ...]
    multi_label: bool
    width: int
    family: Literal["classification", "regression", "survival"]
    unit_of_numbers: str | None
    modality: Modality
    horizon: float | None
    task: str
    protocol: str
    shots: int | None
    seed: int
    fingerprint: str
    encoder: str
    spec: dict[str, Any]
    identity: dict[str, Any]
    weights: str
    weights_sha256: str | None
    precision: Literal["float32", "bf16"]
    field_of_view: int
    software: str
    sha256: str = ""


@dataclass(frozen=True)
class StoredHead:
    """A head that was read from a file.

    Attributes:
        path: The file.
        facts: What is known about it.
        arrays: As `TrainedHead.arrays`, with `support_outputs` of heads with a closed form.
    """

    path: Path
    facts: HeadFacts
    arrays: Arrays

    def predict(self, embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
        """Predict from embeddings.

        Args:
            embeddings: (n, width), as the encoder gives them.

        Returns:
            (n, outputs): probabilities of the classes, the value, or the risk of the event until the horizon.

        Raises:
            StoreError: The embeddings have another width, or the head can't be fitted again to its stored outputs.
        """
        if embeddings.ndim != 2 or embeddings.shape[1] != self.facts.width:
            raise StoreError(
                f"{self.path}: the head reads embeddings of the width {self.facts.width}, not arrays of the shape "
                f"{embeddings.shape}; use the encoder {self.facts.encoder}"
            )
        return self._predict(embeddings)

    @cached_property
    def _predict(self) -> Predict:
        predict = _fit(self.facts, self.arrays)
        expected = self.arrays.get("support_outputs")
        if expected is not None:
            difference = np.abs(predict(self.arrays["support"]) - expected).max()
            if difference > _TOLERANCE * max(1.0, float(np.abs(expected).max())):
                raise StoreError(
                    f"{self.path}: this version of f2vbench and its libraries fit another head (outputs differ by "
                    f"{difference:.3g}); use f2vbench {self.facts.software}, or run the task again with keep_heads=yes"
                )
        return predict


def head_block(head: TrainedHead, facts: HeadFacts) -> bytes:
    """Content of the file of a head.

    Args:
        head: The head.
        facts: Facts about it; `sha256` is filled in.
    """
    arrays = {name: np.ascontiguousarray(array) for name, array in head.arrays.items()}
    if "support" in arrays:
        arrays["support_outputs"] = _fit(facts, arrays)(arrays["support"])
    facts = facts.model_copy(update={"sha256": _digest(facts, arrays)})
    return save(arrays, {_ENTRY: facts.model_dump_json()})


def read_head(path: Path) -> StoredHead:
    """Read the file of a head.

    Args:
        path: The file.

    Raises:
        StoreError: It is missing, damaged, no head, or of a later version of f2vbench.
    """
    facts = read_facts(path)
    try:
        arrays = load(path.read_bytes())
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise StoreError(f"{path}: unreadable ({error}); run the task again with keep_heads=yes") from None
    if _digest(facts, arrays) != facts.sha256:
        raise StoreError(f"{path}: damaged: its checksum does not match; run the task again with keep_heads=yes")
    absent = [name for name in _REQUIRED[facts.method] if name not in arrays]
    if absent:
        raise StoreError(f"{path}: no stored head: the arrays {', '.join(absent)} are missing")
    return StoredHead(path, facts, arrays)


def read_facts(path: Path) -> HeadFacts:
    """Read the facts about a head, without its arrays.

    Args:
        path: The file.

    Raises:
        StoreError: As `read_head`.
    """
    try:
        with safe_open(path, "numpy") as file:
            text = (file.metadata() or {}).get(_ENTRY, "")
    except FileNotFoundError:
        raise StoreError(f"{path}: no such head; f2vbench run keep_heads=yes stores heads in its run folder") from None
    except (OSError, SafetensorError) as error:
        raise StoreError(f"{path}: no stored head ({error}); choose a file of the folder heads of a run") from None
    try:
        values = json.loads(text or "{}")
    except ValueError:
        values = {}
    if isinstance(values, dict) and isinstance(values.get("format"), int) and values["format"] > _FORMAT:
        raise StoreError(f"{path}: a later version of f2vbench wrote this head ({values.get('software')}); update it")
    try:
        return HeadFacts.model_validate(values)
    except ValidationError as error:
        keys = ", ".join(dict.fromkeys(str(problem["loc"][0]) if problem["loc"] else "" for problem in error.errors()))
        raise StoreError(f"{path}: no stored head (missing or wrong: {keys})") from None


def _fit(facts: HeadFacts, arrays: Mapping[str, NDArray[Any]]) -> Predict:
    """The function that predicts (n, outputs) from (n, width) embeddings."""
    if facts.method == "kernel-classifier":
        from f2vbench.heads.wide_mlp import fit_wide_mlp

        classify = fit_wide_mlp(arrays["support"], arrays["targets"].astype(bool), facts.multi_label)
        return lambda embeddings: classify(embeddings).astype(np.float64)
    if facts.method == "kernel-regression":
        from f2vbench.heads.wide_mlp_regression import predict_numbers

        return lambda embeddings: predict_numbers(arrays["support"], arrays["values"], embeddings)[:, None]
    if facts.method == "cox":
        return lambda embeddings: _predict_risk(facts, arrays, embeddings)
    return lambda embeddings: _predict_with_perceptron(facts, arrays, embeddings)


def _predict_risk(
    facts: HeadFacts, arrays: Mapping[str, NDArray[Any]], embeddings: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Risk of the event until the horizon, (n, 1)."""
    from f2vbench.heads.cox import predict_survival
    from f2vbench.heads.wide_kernel import kernel_coordinates

    z, project = kernel_coordinates(arrays["support"].astype(np.float64))
    event, horizon = arrays["event"].astype(bool), np.array([facts.horizon])
    z_new = project(embeddings.astype(np.float64))
    return 1 - predict_survival(z, arrays["time"], event, arrays["patient"], z_new, horizon)


def _predict_with_perceptron(
    facts: HeadFacts, arrays: Mapping[str, NDArray[Any]], embeddings: NDArray[np.float32]
) -> NDArray[np.float64]:
    import torch

    from f2vbench.adapters.probes import FeatureScaler
    from f2vbench.heads.batched_training import predict_probabilities
    from f2vbench.heads.mlp import Mlp

    scaled = FeatureScaler(arrays["mean"], arrays["deviation"]).transform(embeddings)
    parameters = {name: torch.from_numpy(array) for name, array in arrays.items() if name.startswith("layer")}
    widths = [arrays[f"layer{depth}.bias"].shape[-1] for depth in range(len(parameters) // 2)]
    head = Mlp(facts.width, widths[:-1], len(facts.outputs), dropout=0)
    features = [torch.from_numpy(scaled)]
    return predict_probabilities(head, parameters, features, facts.multi_label, torch.device("cpu")).astype(np.float64)


def _digest(facts: HeadFacts, arrays: Mapping[str, NDArray[Any]]) -> str:
    parts = [canonical_json(facts.model_dump(mode="json", exclude={"sha256"}))]
    parts += [
        f"{name} {array.dtype.str} {array.shape}".encode() + b"\0" + np.ascontiguousarray(array).tobytes()
        for name, array in sorted(arrays.items())
    ]
    return sha256(b"\0".join(parts))
