"""Schema of the JSON records in a run folder: `UnitRecord`, `CallRecord` and `CostRecord`.

A record is a plain dictionary; these types name its keys and their values. Keys marked ``NotRequired`` are absent in
records of older versions, or belong to one task family alone. Keys on disk never change their meaning: a record with
other keys needs a new `SCHEMA_VERSION`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from f2vbench.utils.system import Machine, Software

if TYPE_CHECKING:
    from typing_extensions import NotRequired

    from f2vbench.config.run import Protocol

SCHEMA_VERSION = 1
"""Version of the keys below. A record without the key ``schema_version`` has version 1."""


class UnitCoordinates(TypedDict):
    """Position of a unit in the grid; ``shots`` is 0 for zero-shot, and None where all support images are used."""

    encoder: str
    task: str
    protocol: Protocol
    shots: int | None
    seed: int


class Identity(TypedDict):
    """Everything that decides the result of a unit except its protocol, shots and seed.

    ``kind`` and ``model`` describe the encoder, ``task`` is the SHA-256 of the task card, ``data`` the fingerprint of
    images and labels, ``settings`` the keys of the run that matter, and ``adapter`` the version of the adapter.
    """

    kind: str
    model: dict[str, Any]
    task: str
    data: str
    settings: dict[str, Any]
    adapter: int


class EpisodeRecord(TypedDict):
    """Image ids of one draw.

    ``patients`` has the patient of each test image, ``patients_in_all`` the number of patients in the task, and ``val``
    the validation images. ``columns`` has the value of each test image in the further columns of the data set's table
    (``age``, ``sex``, ``site``, ``camera``, …) and in ``eye``, as text, "" where it is missing.
    """

    support: list[str]
    test: list[str]
    seed: int
    patients: NotRequired[list[str]]
    patients_in_all: NotRequired[int]
    val: NotRequired[list[str]]
    columns: NotRequired[dict[str, list[str]]]


class StoredFile(TypedDict):
    """A file in the run folder, named by the SHA-256 of its content, and its size in bytes."""

    sha256: str
    bytes: int


class MapEntry(StoredFile):
    """A stored picture of one test image.

    Segmentation: a score map, with the arguments that `f2vbench.store.score_maps.decode` needs and the square of the
    photograph that it shows (None: the whole photograph); with ``planes``, that many maps, one class below the other.
    Generation: a strip of frames, with the name of its case.
    """

    scale: NotRequired[str]
    low: NotRequired[float]
    high: NotRequired[float]
    steps: NotRequired[int]
    view: NotRequired[dict[str, int] | None]
    planes: NotRequired[int]
    case: NotRequired[str]


class Threshold(TypedDict):
    """Threshold of the score maps, None where the support images allow none, and the rule that chose it."""

    value: float | None
    rule: str


class Solution(TypedDict):
    """Part of a unit's result that its task family computes.

    ``metrics`` maps names to values; a missing value is None, with an explanation in ``reasons``. ``per_image`` maps
    image ids to metrics.
    """

    metrics: dict[str, float | None]
    reasons: dict[str, str]
    per_image: dict[str, dict[str, float | None]]
    maps: NotRequired[dict[str, MapEntry]]
    predictions: NotRequired[StoredFile]
    # Segmentation
    threshold: NotRequired[Threshold]
    thresholds: NotRequired[dict[str, Threshold]]
    mask_classes: NotRequired[list[str]]
    test_by_class: NotRequired[dict[str, int]]
    # Classification
    classes: NotRequired[list[str]]
    label_kind: NotRequired[str]
    images: NotRequired[list[str]]
    support_by_class: NotRequired[dict[str, int]]
    epoch: NotRequired[int]
    validation_auroc: NotRequired[list[float | None]]
    skipped_blocks: NotRequired[int]
    attention: NotRequired[dict[str, dict[str, float]]]
    # Regression and survival
    unit_of_numbers: NotRequired[str]
    horizon: NotRequired[float]
    # Retrieval
    counts: NotRequired[dict[str, int]]
    gallery: NotRequired[list[str]]
    about: NotRequired[dict[str, list[Any]]]
    # Generation
    intervals: NotRequired[dict[str, list[float]]]
    remarks: NotRequired[dict[str, str]]
    frames: NotRequired[int]


class UnitResult(Solution):
    """Result of a unit: its episode, and what its task family computed."""

    episode: EpisodeRecord


class Provenance(TypedDict):
    """Software, hardware and arithmetic of a unit, and the SHA-256 of its tensors (of a fusion, of each part)."""

    software: Software
    machine: Machine
    device: str
    threads: int
    precision: str
    weights_sha256: str | None
    parts_sha256: NotRequired[dict[str, str | None]]


class UnitRecord(TypedDict):
    """A completed unit.

    ``floor`` is True for a baseline; ``weights`` is the label of its weights; ``pretrained_on`` lists the data sets of
    the task whose images the weights were trained on, as their weights card says; ``timing`` has the keys of
    `f2vbench.adapters.base.TIMING`.
    """

    schema_version: NotRequired[int]
    unit: UnitCoordinates
    family: NotRequired[str]
    main_metrics: NotRequired[list[str]]
    lower_is_better: NotRequired[list[str]]
    fingerprint: str
    identity: Identity
    weights: str
    floor: bool
    pretrained_on: NotRequired[list[str]]
    result: UnitResult
    timing: NotRequired[dict[str, float]]
    provenance: Provenance


class TaskRecord(TypedDict):
    """Data of one task in a call: folder, fingerprint, counts, card, notes, and counts of duplicates."""

    folder: str
    fingerprint: str
    images: int
    patients: int
    card: dict[str, Any]
    notes: list[str]
    doubles: NotRequired[dict[str, int]]


class PlannedUnits(TypedDict):
    """Requested units of a call: one model at one condition, and its seeds."""

    encoder: str
    task: str
    protocol: str
    shots: int | None
    seeds: list[int]


class CallRecord(TypedDict):
    """Settings and provenance of one call of `run` that had something to compute."""

    schema_version: NotRequired[int]
    settings: dict[str, Any]
    models: dict[str, dict[str, Any]]
    data: dict[str, TaskRecord]
    left_out: list[str]
    planned: NotRequired[list[PlannedUnits]]
    software: Software
    machine: Machine


class MeasuredOn(TypedDict):
    """Hardware on which speed and memory were measured."""

    device: str
    processor: str
    threads: int


class CostRecord(TypedDict):
    """Cost of encoding with one model and one kind of features.

    ``places`` lists the (task, protocol) pairs that read these features. A number is None where it is unknown, with an
    explanation in ``reasons``.
    """

    schema_version: NotRequired[int]
    encoder: str
    features: str | None
    places: list[list[str]]
    parameters: float | None
    macs: float | None
    seconds_per_image: float | None
    processor_seconds_per_image: float | None
    bytes_per_image: float | None
    process_bytes: float | None
    device_bytes: float | None
    reasons: dict[str, str]
    measured_on: MeasuredOn | None
