"""Settings: one set of models behind the command line, YAML files and the Python API.

Words are ``key=value``. Lists are ``1,2,4``, ranges ``0-4``, nested settings ``decoder.crop=128``;
``@file.yaml`` as a word merges a file of settings, ``key=@file.yaml`` takes one value from a file.
Every problem is collected, so that one failed call shows all that is wrong.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from f2vbench.errors import SettingsError

Protocol = Literal["zero-shot", "few-shot", "supervised"]
Reading = Literal["venous", "arterial", "late", "mean", "maximum", "last"]


def _split(value: Any) -> list[Any]:
    """``"a,b"``, ``"a"`` or a list → a list; numbers become lists of one."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return list(value) if isinstance(value, list | tuple | set | range) else [value]


def _expand_integers(value: Any) -> list[Any]:
    """``"0-4"`` and ``"1,2,8-10"`` → integers; what is no integer is left for the error message."""
    expanded: list[Any] = []
    for part in _split(value):
        found = re.fullmatch(r"(\d+)-(\d+)", part) if isinstance(part, str) else None
        expanded.extend(range(int(found[1]), int(found[2]) + 1) if found else [part])
    return expanded


def _expand_seeds(value: Any) -> list[Any]:
    """A single number n means n seeds (0 … n−1); lists and ranges name them."""
    if isinstance(value, int) and not isinstance(value, bool):
        return list(range(value))
    if isinstance(value, str) and value.strip().isdigit():
        return list(range(int(value)))
    return _expand_integers(value)


def _unique(values: list[Any]) -> list[Any]:
    return list(dict.fromkeys(values))


Names = Annotated[list[str], BeforeValidator(lambda value: _unique(_split(value))), Field(min_length=1)]
Shots = Annotated[
    list[Annotated[int, Field(ge=0)]],
    BeforeValidator(lambda value: _unique(_expand_integers(value))),
    Field(min_length=1),
]
Seeds = Annotated[
    list[Annotated[int, Field(ge=0)]], BeforeValidator(lambda value: _unique(_expand_seeds(value))), Field(min_length=1)
]
Protocols = Annotated[list[Protocol], BeforeValidator(lambda value: _unique(_split(value))), Field(min_length=1)]


class Settings(BaseModel):
    """Base of all settings: unknown keys are refused and values can't be changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, protected_namespaces=())


class DecoderSettings(Settings):
    """Training of the vessel decoder on an encoder's feature maps."""

    crop: int = Field(512, ge=32, description="side of a training crop, pixels of the resized image")
    views: int = Field(4, ge=1, description="crops taken from every support image in an epoch")
    pool: int = Field(8, ge=1, description="augment=pool: views encoded beforehand, shared out to the support images")
    learning_rate: float = Field(3e-3, gt=0, description="peak learning rate of the decoder (AdamW, cosine)")
    encoder_learning_rate: float = Field(1e-4, gt=0, description="peak learning rate of the encoder, finetune=full")
    weight_decay: float = Field(1e-4, ge=0, description="weight decay of AdamW")


class ScratchSettings(Settings):
    """Training of the `scratch` floor: a small U-Net on the support images alone."""

    steps: int = Field(3000, ge=1, description="optimiser steps")
    batch_size: int = Field(4, ge=1, description="crops in a step")


# What a preset sets unless the user says otherwise. `paper` is the Fundus2Video foundation-model paper's
# protocol (Methods: 512 × 512, 100 epochs, brightness/contrast, crop and flip augmentation).
PRESETS: dict[str, dict[str, Any]] = {
    "paper": {
        "image_size": 512,
        "epochs": 100,
        "steps": None,
        "batch_size": 4,
        "augment": "live",
        "decoder": {"crop": 512, "views": 4},
        "scratch": {"steps": 3000, "batch_size": 4},
    },
    "quick": {
        "image_size": 512,
        "epochs": 100,
        "steps": 150,
        "batch_size": 8,
        "augment": "pool",
        "decoder": {"crop": 128, "views": 4},
        "scratch": {"steps": 600, "batch_size": 4},
    },
}


class RunSettings(Settings):
    """Keys of `f2vbench run` and `f2vbench plan`, and the arguments of `Benchmark`."""

    task: Names = Field(description="task cards by name; `f2vbench list tasks` shows them")
    model: Names = Field(
        ["fundus2video:untrained", "fundus2fa:untrained"],
        description="encoders: fundus2video, fundus2fa, pix2pixhd, timm:<name>, each with `:<weights file>` or "
        "`:untrained`; `f2vbench list models` shows them",
    )
    floors: Names = Field(["all"], description="baselines beside every model: all, none, or names")
    weights: str | dict[str, str] | None = Field(
        None, description="checkpoint for the one model that takes it, or `weights.<model>=path` for several"
    )
    shots: Shots = Field([1, 2, 4], description="numbers of support images; 0 is the zero-shot protocol")
    seeds: Seeds = Field([0, 1, 2, 3, 4], description="how many seeds (5: seeds 0 to 4), or their numbers: 0-4 or 1,7")
    protocol: Protocols | None = Field(
        None, description="zero-shot, few-shot, supervised; by default what `shots` asks for"
    )
    data: str | dict[str, str] | None = Field(
        None, description="folder of the data set, or `data.<task>=folder`; by default looked for in F2VBENCH_DATA"
    )
    out: Path | None = Field(None, description="run folder (default runs/<tasks>, with -<preset> unless it is paper)")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:<n>")
    precision: Literal["auto", "float32", "bf16"] = Field(
        "auto", description="arithmetic of encoders: auto is bf16 on a GPU and float32 on a CPU"
    )
    jobs: int | Literal["auto"] = Field("auto", description="worker processes; auto: one a core, or one with a GPU")
    threads: int = Field(
        1, ge=1, description="threads of a worker; results are the same to the last bit only at the same number"
    )
    shard: str | None = Field(None, description="i/n: run the i-th n-th of the units, for array jobs")
    preset: Literal["paper", "quick"] = Field(
        "paper", description="paper: the published protocol; quick: bearable on a CPU, and says what it changed"
    )
    image_size: int = Field(512, ge=64, le=4096, description="side of the square that encoders see, pixels")
    cut: int = Field(19, description="where the pix2pixHD generator's encoder ends: 17, 19 or 25 (module index)")
    finetune: Literal["frozen", "full"] = Field("frozen", description="train the decoder alone, or the encoder with it")
    epochs: int = Field(100, ge=1, description="passes over the support set when training a decoder")
    steps: int | None = Field(None, ge=1, description="optimiser steps of a decoder, in place of epochs")
    batch_size: int = Field(4, ge=1, description="training crops in an optimiser step")
    augment: Literal["live", "pool", "none"] = Field(
        "live",
        description="brightness/contrast, crop and flip augmentation of the support images: live encodes fresh views "
        "at every step, pool trains on a few views encoded beforehand, none on the stored features alone",
    )
    threshold: Literal["auto", "0.5", "support"] = Field(
        "auto",
        description="where Dice cuts a score: 0.5, chosen on the support set, or auto: 0.5 for probabilities, "
        "support for other scores",
    )
    reading: Reading = Field(
        "venous", description="zero-shot: the part of a generated angiogram whose brightness is the vessel score"
    )
    decoder: DecoderSettings = Field(DecoderSettings(), description="training of the decoder")
    scratch: ScratchSettings = Field(ScratchSettings(), description="training of the scratch floor")
    dry_run: bool = Field(False, description="print the plan and stop")

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, values: Any) -> Any:
        """Lay the user's words over the preset's."""
        if not isinstance(values, dict):
            return values
        name = values.get("preset", "paper")
        preset = dict(PRESETS.get(name, {})) if isinstance(name, str) else {}
        if "epochs" in values:
            preset.pop("steps", None)  # who names epochs wants them counted, not the preset's steps
        return _overlay(preset, values)

    @model_validator(mode="after")
    def _check_together(self) -> RunSettings:
        if self.cut not in (17, 19, 25):
            raise ValueError(f"cut={self.cut}: the encoder can end at 17, 19 or 25")
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device):
            raise ValueError(f"device={self.device}: must be auto, cpu, cuda or cuda:<n>")
        if self.jobs != "auto" and self.jobs < 1:
            raise ValueError(f"jobs={self.jobs}: at least one worker is needed")
        if self.shard is not None:
            self.shard_position()
        if self.finetune == "full" and self.augment == "pool":
            raise ValueError("finetune=full changes the encoder at every step: use augment=live or augment=none")
        if self.decoder.crop > self.image_size:
            raise ValueError(
                f"decoder.crop={self.decoder.crop} is larger than image_size={self.image_size}: lower the crop"
            )
        if self.protocol and "few-shot" in self.protocol and not any(self.shots):
            raise ValueError("protocol=few-shot with shots=0: give at least one number of support images, shots=1,2,4")
        return self

    def shard_position(self) -> tuple[int, int] | None:
        """(i, n) of ``shard=i/n`` with 1 ≤ i ≤ n, or None."""
        if self.shard is None:
            return None
        found = re.fullmatch(r"(\d+)/(\d+)", self.shard)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise ValueError(f"shard={self.shard}: write i/n with i from 1 to n, like shard=1/8")
        return int(found[1]), int(found[2])

    def grid(self) -> list[tuple[Protocol, int | None]]:
        """The (protocol, shots) pairs asked for; supervised has no number of shots."""
        wanted = self.protocol or [name for name in ("zero-shot", "few-shot") if self._shots_ask_for(name)]
        pairs: list[tuple[Protocol, int | None]] = []
        if "zero-shot" in wanted:
            pairs.append(("zero-shot", 0))
        if "few-shot" in wanted:
            pairs.extend(("few-shot", shots) for shots in self.shots if shots > 0)
        if "supervised" in wanted:
            pairs.append(("supervised", None))
        return pairs

    def _shots_ask_for(self, protocol: str) -> bool:
        return 0 in self.shots if protocol == "zero-shot" else any(self.shots)

    def decoder_steps(self, support: int) -> int:
        """Optimiser steps of a decoder: ``steps``, or ``epochs`` over ``decoder.views`` crops of each support image."""
        if self.steps is not None:
            return self.steps
        return self.epochs * math.ceil(support * self.decoder.views / self.batch_size)

    def folder(self) -> Path:
        """The run folder: ``out``, or one named by the tasks and the preset."""
        suffix = "" if self.preset == "paper" else f"-{self.preset}"
        return self.out if self.out is not None else Path("runs") / ("+".join(self.task) + suffix)

    def preset_changes(self) -> list[str]:
        """What this run does otherwise than the paper's protocol because of its preset, a line each."""
        paper, mine = _flatten(PRESETS["paper"]), _flatten(PRESETS[self.preset])
        used = _flatten(self.model_dump())
        return [
            f"{key}: {paper[key]} → {value}"
            for key, value in mine.items()
            if value != paper[key] and used.get(key) == value
        ]


class ReportSettings(Settings):
    """Keys of `f2vbench report`."""

    run: Annotated[list[Path] | None, BeforeValidator(lambda v: None if v is None else _split(v))] = Field(
        None, description="run folders; by default the latest below ./runs"
    )
    metric: Names = Field(["auroc", "dice"], description="metrics of the printed tables; `all` for every one")
    baseline: str | None = Field(
        None, description="model to compare with the best other (default: the first model that is no floor)"
    )
    out: Path | None = Field(None, description="folder for the CSV files (default: the run folder)")


class ListSettings(Settings):
    """Keys of `f2vbench list`."""

    root: Path = Field(Path("runs"), description="folder below which `list runs` looks")


class DoctorSettings(Settings):
    """Keys of `f2vbench doctor`."""

    out: Path = Field(Path("runs"), description="folder whose writability is tested")


AnySettings = TypeVar("AnySettings", bound=Settings)


def parse(model: type[AnySettings], words: Iterable[str]) -> AnySettings:
    """Settings from command-line words.

    Raises:
        SettingsError: all problems at once, each with its key, value and, where one is near, a suggestion.
    """
    values, problems = _read_words(words)
    return _validate(model, values, problems)


def build(model: type[AnySettings], values: Mapping[str, Any]) -> AnySettings:
    """Settings from keyword arguments, with the same checks and messages as the command line."""
    return _validate(model, dict(values), [])


def describe(model: type[Settings], prefix: str = "") -> list[tuple[str, str, str]]:
    """(key, default, meaning) of every key, nested ones dotted, for help texts."""
    rows: list[tuple[str, str, str]] = []
    for name, field in model.model_fields.items():
        key = prefix + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, Settings):
            rows.extend(describe(field.annotation, f"{key}."))
            continue
        rows.append((key, _default_text(key, field.is_required(), field.default), field.description or ""))
    return rows


def _default_text(key: str, required: bool, default: Any) -> str:
    if required:
        return "(required)"
    by_preset = {name: _flatten(values)[key] for name, values in PRESETS.items() if key in _flatten(values)}
    if len(set(map(str, by_preset.values()))) > 1:
        return ", ".join(f"{name}: {'–' if value is None else value}" for name, value in by_preset.items())
    if isinstance(default, list):
        return ",".join(map(str, default))
    return "–" if default is None else str(default).lower() if isinstance(default, bool) else str(default)


def _read_words(words: Iterable[str]) -> tuple[dict[str, Any], list[str]]:
    values: dict[str, Any] = {}
    problems: list[str] = []
    given: set[str] = set()
    for word in words:
        if word.startswith("@"):
            loaded = _read_file(word[1:], problems)
            if isinstance(loaded, dict):
                values = _overlay(loaded, values)
            elif loaded is not None:
                problems.append(f"{word}: the file must hold `key: value` lines")
            continue
        key, equals, value = word.partition("=")
        key = key.lstrip("-").replace("-", "_") if word.startswith("--") else key
        if not equals and word.startswith("--"):
            value = "true"
        elif not equals or not key:
            problems.append(f"'{word}' is not a setting: write key=value")
            continue
        if key in given:
            problems.append(f"{key}: given twice")
        given.add(key)
        content = _read_file(value[1:], problems) if value.startswith("@") else value
        _put(values, key, content, problems)
    return values, problems


def _read_file(name: str, problems: list[str]) -> Any:
    try:
        return yaml.safe_load(Path(name).read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(f"@{name}: can't be read ({error.strerror or error}); give the path of a YAML file")
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        problems.append(f"@{name}: not valid YAML ({' '.join(str(error).split())})")
    return None


def _put(values: dict[str, Any], key: str, value: Any, problems: list[str]) -> None:
    """Set a dotted key. Only the first dot splits below `weights` and `data`, whose keys may hold dots."""
    head, dot, rest = key.partition(".")
    if not dot:
        values[key] = value
        return
    inner = values.setdefault(head, {})
    if not isinstance(inner, dict):
        problems.append(f"{key}: `{head}` was also given as a single value; use one of the two")
        return
    inner[rest] = value


def _overlay(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """``above`` laid over ``below``, nested mappings merged; settings objects count as mappings."""
    merged = dict(below)
    for key, value in above.items():
        if isinstance(value, Settings):
            value = value.model_dump(exclude_unset=True)
        under = merged.get(key)
        merged[key] = _overlay(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat.update(_flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return flat


def _validate(model: type[AnySettings], values: dict[str, Any], problems: list[str]) -> AnySettings:
    try:
        settings = model.model_validate(values)
    except ValidationError as error:
        raise SettingsError(problems + _problems_of(model, error)) from None
    if problems:
        raise SettingsError(problems)
    return settings


def _problems_of(model: type[Settings], error: ValidationError) -> list[str]:
    """One sentence a key; the members of a union that failed together are told once."""
    keys = [key for key, _, _ in describe(model)] + list(model.model_fields)
    told: dict[str, str] = {}
    for item in error.errors(include_url=False):
        location = [str(part) for part in item["loc"]]
        names = [part for part in location if not part.isdigit() and re.fullmatch(r"[a-z_0-9:.]+", part)]
        key = ".".join(names[:2]) if names[:1] in (["decoder"], ["scratch"]) else (names[0] if names else "")
        if item["type"] == "extra_forbidden":
            told[key] = f"unknown key '{key}' (value {item['input']!r}){did_you_mean(key, keys)}"
        elif item["type"] == "missing":
            told[key] = f"{key}: required; {_meaning(model, key)}"
        elif item["type"] == "value_error":
            told[key or item["msg"]] = item["msg"].removeprefix("Value error, ")
        elif item["type"] == "literal_error":
            choices = re.findall(r"'([^']+)'", item.get("ctx", {}).get("expected", ""))
            hint = did_you_mean(str(item["input"]), choices)
            told.setdefault(key, f"{key}={item['input']}: must be one of {', '.join(choices)}{hint}")
        else:
            told.setdefault(key, f"{key}: {item['input']!r} – {item['msg'].lower()}; {_meaning(model, key)}")
    return list(told.values())


def _meaning(model: type[Settings], key: str) -> str:
    return next((meaning for name, _, meaning in describe(model) if name == key), "")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the nearest known word, or an empty string."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""
