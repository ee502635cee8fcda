"""Task cards: one YAML file describes a task: its data set, the reader of its folders, and its split.

Cards are searched in ``./tasks``, in the folders of ``F2VBENCH_PATH``, in the packages of the entry points
``f2vbench.tasks``, and last among the cards of f2vbench; the first card with the name is used.
"""

from __future__ import annotations

import importlib.resources
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from f2vbench.data.label_classes import (
    NUMERIC_KINDS,
    LabelClass,
    LabelKind,
    problems_of_classes,
    problems_of_main_metric,
    problems_of_numbers,
)
from f2vbench.data.layouts import LAYOUTS
from f2vbench.data.mask_declaration import ClassDeclaration, MaskClass, declaration, problems_of_mask_classes
from f2vbench.errors import F2VBenchError, SettingsError, did_you_mean
from f2vbench.utils.files import canonical_json, sha256
from f2vbench.utils.yaml_text import load_yaml

NORMALISE = "normalise"
"""Value of the key ``patients`` that merges patients whose names differ only in spelling."""

# Keys that influence results; the others are information for users.
_HASHED = ("name", "family", "layout", "options", "split", "test_fraction")
# Hashed only if set, so that cards without these keys, which are newer, keep their hash.
_HASHED_IF_SET = (
    *("label_kind", "classes", "absent", "copies", "mask_values", "fov_values", "official_test", "horizon"),
    *("modality", "mask_classes", "background_values", "ignore_values"),
)

Modality = Literal["colour", "oct", "ultra-widefield"]
_FAMILIES_OF_ANY_MODALITY = ("classification", *NUMERIC_KINDS)


class PhantomData(BaseModel):
    """Settings of a data set that is simulated on first use; see `f2vbench phantom`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    patients: int = Field(ge=1, description="number of patients, with two eyes each")
    seed: int = Field(ge=0, description="seed of the simulation")
    size: int = Field(512, ge=64, le=4096, description="edge of the images in pixels")
    diseases: list[str] | None = Field(None, min_length=1, description="diseases in equal shares; default: all")
    parts: list[str] = Field(min_length=1, description="data to write: vessels, dr, video, …")


class TaskCard(BaseModel):
    """One task card; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="file name without .yaml")
    title: str = Field(min_length=1, description="name in tables and figures")
    family: Literal["segmentation", "classification", "regression", "survival", "retrieval", "generation"] = Field(
        description="type of the task"
    )
    layout: str = Field(description="reader of the folder structure")
    options: dict[str, Any] = Field(default_factory=dict, description="options of the layout")
    folders: list[str] = Field(default_factory=list, description="folder names to search in F2VBENCH_DATA")
    phantom: PhantomData | None = Field(None, description="data that is simulated on first use")
    datasets: list[str] = Field(
        default_factory=list,
        description="names of the data sets that the images are from, beside the name of the task; a model whose "
        "weights card lists one of them under `pretrained_on` is marked",
    )
    images: int | None = Field(None, ge=1, description="number of labelled images in the complete data set")
    split: Literal["random", "official", "auto"] = Field(
        "random", description="how test images are chosen; auto: official if the folder has one, else random"
    )
    modality: Modality = Field(
        "colour",
        description="colour: photographs with a round field of view; oct: the whole image is the field; "
        "ultra-widefield: a field of any shape. Other than colour: classification, regression and survival",
    )
    test_fraction: float = Field(0.5, gt=0, lt=1, description="fraction of patients in a random test set")
    unlabelled: Literal["refuse", "leave-out", "negative"] = Field(
        "refuse",
        description="images without a label: refuse the data set, or leave them out; with mask_classes also negative: "
        "an image without any mask file has none of the classes",
    )
    absent: Literal["refuse", "leave-out"] = Field("refuse", description="images that are listed but missing")
    copies: Literal["refuse", "join"] = Field(
        "refuse", description="exact duplicates: refuse the data set, or merge their patients"
    )
    mask_values: list[int | str] = Field(
        default_factory=list,
        description="segmentation: values of the masks that are vessel, such as [1, 2, 3], ['#ff0000'] or ['>127'], if "
        "the files have more than two",
    )
    mask_classes: list[MaskClass] = Field(
        default_factory=list,
        description="segmentation of several classes: each with its values in one mask file, or with a mask file each",
    )
    background_values: list[int | str] = Field([0], description="mask_classes: values of a mask file that are no class")
    ignore_values: list[int | str] = Field(
        default_factory=list,
        description="mask_classes: values of a mask file whose pixels count neither in training nor in evaluation",
    )
    fov_values: list[int | str] = Field(
        default_factory=list, description="values of field-of-view masks that are inside, if they have more than two"
    )
    official_test: list[str] = Field(
        default_factory=list,
        description="split=official: patterns of the test images' ids, if the folders do not divide them",
    )
    label_kind: LabelKind | None = Field(
        None,
        description="type of the labels: nominal, ordinal, binary, multilabel; or regression, survival, as the family",
    )
    unit: str = Field(
        "", description="unit of the numbers to predict (regression, such as years) or of time (survival)"
    )
    horizon: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="survival: time, in the unit, at which the risk is evaluated"
    )
    classes: list[LabelClass] = Field(default_factory=list, description="classes in order, with their meanings")
    main_metric: str = Field(
        "", description="metric that tables show first, such as quadratic_kappa; default: that of the family"
    )
    parts: dict[str, dict[str, int]] = Field(
        default_factory=dict, description="expected number of images by split, for the structures owner and retfound"
    )
    patients: str = Field(
        "",
        description="normalise: merge patients whose names differ only in case, leading zeros, punctuation or an eye "
        "suffix; any other text: definition of a patient, in one sentence",
    )
    labels: str = Field(min_length=1, description="origin of the labels, in one sentence")
    source: str = Field(min_length=1, description="authors and page of the data set")
    terms: str = Field(min_length=1, description="terms of use")
    citation: str = Field(min_length=1, description="publication to cite")
    obtain: str = Field(min_length=1, description="how to get the data set")
    path: Path = Field(Path(), exclude=True, description="file of the card; not a key of the card")

    @field_validator("folders")
    @classmethod
    def _stay_below_the_root(cls, folders: list[str]) -> list[str]:
        for name in folders:
            if name in ("", ".", "..") or "/" in name or "\\" in name:
                raise ValueError(f"'{name}' is not a plain folder name: remove slashes and dots")
        return folders

    @field_validator("patients")
    @classmethod
    def _is_a_sentence_or_the_word(cls, text: str) -> str:
        if text and text != NORMALISE and len(text.split()) == 1:
            hint = did_you_mean(text, [NORMALISE])
            raise ValueError(f"must be `{NORMALISE}`, or a sentence of several words{hint}")
        return text

    @property
    def normalises_patients(self) -> bool:
        """Whether patients whose names differ only in spelling are merged, see `f2vbench.data.patient_spelling`."""
        return self.patients == NORMALISE

    @property
    def data_sets(self) -> tuple[str, ...]:
        """Names of the data sets that the images are from: the name of the task, and ``datasets``."""
        return (self.name, *self.datasets)

    @property
    def class_declaration(self) -> ClassDeclaration | None:
        """What the values of the masks mean; None for cards without ``mask_classes``."""
        if not self.mask_classes:
            return None
        classes = tuple((each.name, declaration(each.values)) for each in self.mask_classes)
        return ClassDeclaration(classes, declaration(self.background_values), declaration(self.ignore_values))

    @model_validator(mode="after")
    def _mask_classes_fit(self) -> TaskCard:
        problems = problems_of_mask_classes(
            self.mask_classes, declaration(self.background_values), declaration(self.ignore_values)
        )
        given = {
            "mask_classes": bool(self.mask_classes),
            "background_values": self.background_values != [0],
            "ignore_values": bool(self.ignore_values),
        }
        keys = [key for key, is_given in given.items() if is_given]
        if keys and self.family != "segmentation":
            problems.append(f"{keys[0]} is a key of the family segmentation; this card has the family {self.family}")
        elif keys and not self.mask_classes:
            problems.append(f"{keys[0]}: needs mask_classes")
        if self.mask_classes and self.mask_values:
            problems.append("mask_values and mask_classes: set one of them; a class has its values in `values`")
        if self.unlabelled == "negative" and not self.mask_classes:
            problems.append("unlabelled: negative needs mask_classes; use refuse or leave-out")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @model_validator(mode="after")
    def _classes_fit_their_kind(self) -> TaskCard:
        problems = [
            *problems_of_classes(self.classes, self.label_kind, self.family),
            *problems_of_numbers(self.unit, self.horizon, self.family),
            *self._problems_of_modality(),
            *problems_of_main_metric(self.main_metric, self.family, self.label_kind),
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _problems_of_modality(self) -> list[str]:
        if self.modality == "colour":
            return []
        if self.phantom is not None:
            return [f"modality: {self.modality}: simulated photographs are colour: remove the key"]
        if self.family not in _FAMILIES_OF_ANY_MODALITY:
            return [
                f"modality: {self.modality} is for {', '.join(_FAMILIES_OF_ANY_MODALITY)}; in segmentation, masks in "
                "fov/ give the field, and other families read the modality of each image from the data"
            ]
        return []

    @field_validator("mask_values", "fov_values", "background_values", "ignore_values")
    @classmethod
    def _are_values_of_a_mask(cls, values: list[int | str]) -> list[int | str]:
        declaration(values)
        return values

    @field_validator("layout")
    @classmethod
    def _has_a_reader(cls, layout: str) -> str:
        if layout not in LAYOUTS:
            hint = did_you_mean(layout, LAYOUTS)
            raise ValueError(f"unknown layout '{layout}'{hint}; known: {', '.join(sorted(LAYOUTS))}")
        return layout


def load_card(name: str) -> TaskCard:
    """Load the card of a task.

    Args:
        name: Name of the task.

    Raises:
        SettingsError: No card has this name, or the card is invalid; the message names file and key.
    """
    ignored: list[str] = []
    for folder in _card_folders(ignored):
        file = next((file for file in _yaml_files(folder) if file.stem == name), None)
        if file is not None and _is_card(file):
            return _read_card(file)
        if file is not None:
            ignored.append(f"{file} is not a task card: it has neither a `layout` nor a `family`")
    known = [other for other, card in all_cards().items() if isinstance(card, TaskCard)]
    unknown = f"unknown task '{name}'{did_you_mean(name, known)}; known tasks: {', '.join(known)}"
    raise SettingsError([unknown, *ignored])


def all_cards() -> dict[str, TaskCard | F2VBenchError]:
    """All cards by name, sorted; invalid cards and plug-ins are replaced by their error.

    Other YAML files are ignored, because a ``tasks`` folder may belong to another project.
    """
    found: dict[str, TaskCard | F2VBenchError] = {}
    broken: list[str] = []
    for folder in _card_folders(broken):
        for file in _yaml_files(folder):
            if file.stem in found or not _is_card(file):
                continue
            try:
                found[file.stem] = _read_card(file)
            except SettingsError as error:
                found[file.stem] = error
    for problem in broken:
        found.setdefault(problem.split(":")[0], SettingsError(problem))
    return dict(sorted(found.items()))


def card_hash(card: TaskCard) -> str:
    """SHA-256 (hex) of the keys that influence results: name, family, layout, options, split, classes and so on."""
    hashed = card.model_dump(mode="json", include=set(_HASHED))
    if_set = card.model_dump(mode="json", include=set(_HASHED_IF_SET), exclude_defaults=True)
    if "classes" in if_set:
        if_set["classes"] = [[label_class.name, *label_class.read] for label_class in card.classes]
    if "mask_classes" in if_set:
        if_set["mask_classes"] = [[each.name, *each.read, declaration(each.values)] for each in card.mask_classes]
    if card.normalises_patients:
        if_set["patients"] = card.patients
    return sha256(canonical_json(hashed | if_set))


def _card_folders(broken: list[str]) -> Iterator[Path]:
    """Folders with cards in order of precedence; plug-ins that fail to import are added to ``broken``."""
    yield Path("tasks")
    for entry in filter(None, os.environ.get("F2VBENCH_PATH", "").split(os.pathsep)):
        yield Path(entry).expanduser()
        yield Path(entry).expanduser() / "tasks"
    for point in sorted(entry_points(group="f2vbench.tasks"), key=lambda point: point.name):
        yield from _plugin_folder(point, broken)
    yield Path(str(importlib.resources.files("f2vbench.tasks")))


def _plugin_folder(point: EntryPoint, broken: list[str]) -> list[Path]:
    try:
        return [Path(point.load().__file__).parent]
    except Exception as error:  # a plug-in may raise any exception, and must not hide the other cards
        broken.append(f"{point.name}: the entry point f2vbench.tasks → {point.value} failed to import ({error})")
        return []


def _yaml_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.glob("*.yaml") if file.is_file() and not file.name.startswith("."))


def _is_card(file: Path) -> bool:
    """Whether the file is a card, valid or not: it has a key ``layout`` or ``family``."""
    try:
        text = file.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return False
    return re.search(r"^(layout|family)\s*:", text, re.MULTILINE) is not None


def _read_card(file: Path) -> TaskCard:
    """The card of a file, parsed again only if the file has changed: a report loads cards hundreds of times."""
    try:
        state = file.stat()
    except OSError as error:
        raise SettingsError(f"{file}: unreadable ({error}): make it readable and save it as UTF-8") from None
    return _parsed_card(file, state.st_dev, state.st_ino, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=256)
def _parsed_card(file: Path, *state: int) -> TaskCard:
    values = _read_mapping(file)
    keys = [key for key in TaskCard.model_fields if key != "path"]
    problems = [
        f"{file}: unknown key '{key}'{did_you_mean(str(key), keys)}; known keys: {', '.join(keys)}"
        for key in values
        if key not in keys
    ]
    if isinstance(values.get("name"), str) and values["name"] != file.stem:
        problems.append(f"{file}: name: '{values['name']}' must be the file name, '{file.stem}': change one of them")
    try:
        card = TaskCard.model_validate({key: value for key, value in values.items() if key in keys} | {"path": file})
    except ValidationError as error:
        raise SettingsError(problems + [_sentence(file, item) for item in error.errors(include_url=False)]) from None
    if problems:
        raise SettingsError(problems)
    return card


def _read_mapping(file: Path) -> dict[Any, Any]:
    try:
        values = load_yaml(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: unreadable ({error}): make it readable and save it as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise SettingsError(f"{file}{where}: not valid YAML ({getattr(error, 'problem', None) or error})") from None
    if not isinstance(values, dict):
        raise SettingsError(f"{file}: a task card must be a mapping of keys to values; tasks/rite.yaml is an example")
    return values


def _sentence(file: Path, item: Any) -> str:
    if not item["loc"]:  # a check of several keys
        return f"{file}: {item['msg'].removeprefix('Value error, ')}"
    key = ".".join(str(part) for part in item["loc"])
    field = TaskCard.model_fields[str(item["loc"][0])]
    if item["type"] == "missing":
        return f"{file}: {key}: this key is required ({field.description})"
    problem = item["msg"].removeprefix("Value error, ")
    if item["type"] == "literal_error":
        choices = re.findall(r"'([^']+)'", item["ctx"]["expected"])
        problem = f"must be one of {', '.join(choices)}{did_you_mean(str(item['input']), choices)}"
    return f"{file}: {key}: {item['input']!r}: {problem} ({field.description})"
