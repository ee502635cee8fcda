"""Settings of a benchmark run: the keys of `f2vbench run` and the arguments of `Benchmark`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from f2vbench.config.base import Names, Seeds, Settings, Shots, expand_integers, flatten, overlay, split_list, unique

Protocol = Literal["zero-shot", "prototype", "knn", "few-shot", "supervised", "probe"]
Variant = Literal["cross-modal", "other-view", "other-eye", "modality-pairs"]
Reading = Literal["venous", "arterial", "late", "mean", "maximum", "last"]


Protocols = Annotated[list[Protocol], BeforeValidator(lambda value: unique(split_list(value))), Field(min_length=1)]
Variants = Annotated[list[Variant], BeforeValidator(lambda value: unique(split_list(value)))]


class DecoderSettings(Settings):
    """Training of the vessel decoder on an encoder's feature maps."""

    crop: int = Field(512, ge=32, description="side of a training crop, pixels of the resized image")
    views: int = Field(4, ge=1, description="crops taken from every support image in an epoch")
    pool: int = Field(8, ge=1, description="augment=pool: views encoded beforehand, shared out to the support images")
    learning_rate: float = Field(3e-3, gt=0, description="peak learning rate of the decoder (AdamW, cosine)")
    encoder_learning_rate: float = Field(1e-4, gt=0, description="peak learning rate of the encoder, finetune=full")
    weight_decay: float = Field(1e-4, ge=0, description="weight decay of AdamW")


class HeadSettings(Settings):
    """Training of classification heads on an encoder's embeddings; batch, epochs and rates are the paper's."""

    widths: Annotated[list[Annotated[int, Field(ge=1)]], BeforeValidator(expand_integers)] = Field(
        [128], description="widths of the MLP's hidden layers"
    )
    fusion_width: int = Field(
        128, ge=16, multiple_of=16, description="width to which a fusion projects each encoder's embedding"
    )
    dropout: float = Field(0.2, ge=0, lt=1, description="part of the hidden layers dropped in training")
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="part of a label spread over all classes")
    batch_size: int = Field(16, ge=1, description="images in an optimiser step")
    epochs: int = Field(50, ge=1, description="passes over the support images")
    warmup_epochs: int = Field(10, ge=0, description="epochs over which the learning rate rises from 0")
    learning_rate: float = Field(5e-4, gt=0, description="peak learning rate (AdamW, cosine after the warm-up)")
    min_learning_rate: float = Field(1e-6, ge=0, description="learning rate at the end")
    weight_decay: float = Field(0.05, ge=0, description="weight decay of AdamW")


class ScratchSettings(Settings):
    """Training of the `scratch` baseline: a small U-Net on the support images alone."""

    steps: int = Field(2600, ge=1, description="optimiser steps")
    batch_size: int = Field(4, ge=1, description="crops in a step")


class TuneSettings(Settings):
    """How an encoder is trained with a classification head, finetune=full; epochs, batch and schedule are head.*."""

    learning_rate: float = Field(
        5e-3, gt=0, description="peak learning rate for batches of 256 images; head.batch_size / 256 of it is taken"
    )
    layer_decay: float = Field(
        0.65, gt=0, le=1, description="factor of the learning rate from each layer to the one before it"
    )
    drop_path: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="part of the residual branches skipped in the last block, in the first none",
    )
    crop_area: float = Field(
        0.08, gt=0, le=1, description="least share of the photograph that a training view shows; 1: all of it"
    )
    operations: int = Field(2, ge=0, description="RandAugment: operations drawn for a view, each done half the time")
    magnitude: float = Field(9, ge=0, le=10, description="RandAugment: strength of its operations, sd 0.5")
    erasing: float = Field(0.25, ge=0, le=1, description="part of the views with a rectangle of noise")


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
        "scratch": {"steps": 2600, "batch_size": 4},
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

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = PRESETS

    task: Names = Field(description="task cards by name; `f2vbench list tasks` shows them")
    train: str | None = Field(
        None, description="external validation: the task that heads are trained on, in place of task="
    )
    test: Names | None = Field(
        None, description="external validation: the tasks that they are tested on; the same classes in their cards"
    )
    model: Names = Field(
        ["fundus2video", "fundus2fa"],
        description="encoders: fundus2video, fundus2fa, pix2pixhd, mae, timm:<name>, each with `:<weights file>` or "
        "`:untrained`; `f2vbench list models` shows them",
    )
    baselines: Names = Field(["all"], description="baselines beside every model: all, none, or names")
    weights: str | dict[str, str] | None = Field(
        None, description="checkpoint for the one model that takes it, or `weights.<model>=path` for several"
    )
    shots: Shots = Field(
        [1, 2, 4],
        description="numbers of support images, in classification of each class; 0 is the zero-shot protocol, all the "
        "supervised one",
    )
    seeds: Seeds = Field([0, 1, 2, 3, 4], description="how many seeds (5: seeds 0 to 4), or their numbers: 0-4 or 1,7")
    protocol: Protocols | None = Field(
        None,
        description="zero-shot, few-shot, supervised, and in classification prototype, knn, probe (logistic "
        "regression) on the same support images; by default what `shots` asks for",
    )
    data: str | dict[str, str] | None = Field(
        None, description="folder of the data set, or `data.<task>=folder`; by default looked for in F2VBENCH_DATA"
    )
    split: str | dict[str, str] | None = Field(
        None,
        description="classification: a file of `f2vbench data split` (columns image and split) in place of the card's "
        "split, or `split.<task>=file.csv`",
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
        "paper",
        description="paper: image size, epochs and augmentation as published (where encoders were fine-tuned: add "
        "finetune=full); quick: bearable on a CPU, and says what it changed",
    )
    image_size: int = Field(512, ge=64, le=4096, description="side of the square that encoders see, pixels")
    cut: int = Field(
        19,
        description="where the pix2pixHD generator's encoder ends: 17, 19 or 25 (module index); with 39 "
        "the whole generator is the encoder, and the maps of its decoder and its frames join the others",
    )
    finetune: Literal["frozen", "full"] = Field(
        "frozen", description="train the decoder or the classification head alone, or the encoder with it (full)"
    )
    epochs: int = Field(100, ge=1, description="passes over the support set when training a decoder")
    steps: int | None = Field(None, ge=1, description="optimiser steps of a decoder, in place of epochs")
    batch_size: int = Field(4, ge=1, description="training crops in an optimiser step")
    augment: Literal["live", "pool", "none"] = Field(
        "live",
        description="brightness/contrast, crop and flip augmentation of the support images: live encodes fresh views "
        "at every step, pool trains on a few views encoded beforehand, none on the stored features alone; "
        "classification, finetune=full: live trains on the views of tune.*, none on the photographs as they are",
    )
    threshold: Literal["auto", "0.5", "support"] = Field(
        "auto",
        description="where Dice cuts a score: 0.5, chosen on the support set, or auto: 0.5 for probabilities, "
        "support for other scores",
    )
    reading: Reading = Field(
        "venous", description="zero-shot: the part of a generated angiogram whose brightness is the vessel score"
    )
    index: str = Field("Flat", description="retrieval: FAISS factory string, IVF64,Flat or HNSW32; Flat is exact")
    pca: int | None = Field(None, ge=1, description="retrieval: principal components, fitted on other patients")
    variant: Variants = Field(
        [],
        description="retrieval: also measure cross-modal, other-view, other-eye (hits must differ so), modality-pairs",
    )
    select: Literal["val", "last"] = Field(
        "val",
        description="few-shot classification: val keeps the epoch that is best on the labelled images of the "
        "validation part, which are many more than the support images; last does without them",
    )
    neighbours: int = Field(5, ge=1, description="protocol=knn: how many of the support images vote")
    head: HeadSettings = Field(HeadSettings(), description="training of classification heads")
    tune: TuneSettings = Field(TuneSettings(), description="training of encoders with a classification head")
    decoder: DecoderSettings = Field(DecoderSettings(), description="training of the decoder")
    scratch: ScratchSettings = Field(ScratchSettings(), description="training of the scratch baseline")
    dry_run: bool = Field(False, description="print the plan and stop")

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, values: Any) -> Any:
        """Lay the user's words over the preset's."""
        if not isinstance(values, dict):
            return values
        values = dict(values)
        if "floors" in values:
            if "baselines" in values:
                raise ValueError("baselines and floors are the same key: keep baselines")
            values["baselines"] = values.pop("floors")
        name = values.get("preset", "paper")
        preset = dict(PRESETS.get(name, {})) if isinstance(name, str) else {}
        if "train" in values and "test" in values and "task" not in values:
            preset["task"] = [f"{values['train']}-to-{test}" for test in split_list(values["test"])]
        if "epochs" in values:
            preset.pop("steps", None)  # who names epochs wants them counted, not the preset's steps
        return overlay(preset, values)

    @model_validator(mode="after")
    def _check_together(self) -> RunSettings:
        named = [f"{self.train}-to-{test}" for test in self.test or []]
        if (self.train is None) != (self.test is None) or (self.train is not None and self.task != named):
            raise ValueError("train and test: give both, and no task, for external validation")
        if self.cut not in (17, 19, 25, 39):
            raise ValueError(f"cut={self.cut}: the encoder can end at 17, 19 or 25, or 39, the whole generator")
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
        if self.protocol and "few-shot" in self.protocol and not self._numbers():
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
        """The (protocol, shots) pairs asked for; supervised has no number of shots.

        ``prototype``, ``knn`` and ``probe`` go with every number of shots, and ``shots=all`` gives them, as supervised,
        the whole training part (None).
        """
        whole: list[int | None] = [None] if "all" in self.shots else []
        by_shots: dict[Protocol, list[int | None]] = {
            "zero-shot": [0],
            "prototype": [*self._numbers(), *whole],
            "knn": [*self._numbers(), *whole],
            "few-shot": list(self._numbers()),
            "supervised": [None],
            "probe": [*self._numbers(), *whole],
        }
        asked = {"zero-shot": 0 in self.shots, "few-shot": bool(self._numbers()), "supervised": bool(whole)}
        wanted: Sequence[str] = self.protocol or [name for name, there in asked.items() if there]
        return [(protocol, shots) for protocol, values in by_shots.items() if protocol in wanted for shots in values]

    def _numbers(self) -> list[int]:
        """The numbers of support images asked for."""
        return [shots for shots in self.shots if shots != "all" and shots > 0]

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
        paper, mine = flatten(PRESETS["paper"]), flatten(PRESETS[self.preset])
        used = flatten(self.model_dump())
        return [
            f"{key}: {paper[key]} → {value}"
            for key, value in mine.items()
            if value != paper[key] and used.get(key) == value
        ]
