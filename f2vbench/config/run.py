"""Settings of a benchmark run: the keys of `f2vbench run` and the arguments of `Benchmark`."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from f2vbench.config.base import Names, Seeds, Settings, Shots, as_integer, flatten, overlay, split_list, unique
from f2vbench.config.engines import EngineName, RaySettings, SlurmSettings, check_engine
from f2vbench.config.fitting import DecoderSettings, HeadSettings, ScratchSettings, TuneSettings
from f2vbench.config.mask_decoder import MaskDecoderSettings
from f2vbench.config.run_loggers import LoggerNames

Protocol = Literal["zero-shot", "prototype", "knn", "few-shot", "supervised", "probe"]
Variant = Literal["cross-modal", "other-view", "other-eye", "modality-pairs"]
Cut = Annotated[int, Field(ge=1)] | Literal["whole"]
Pooling = Literal["levels", "mean"]
VesselScoreName = Literal[
    "auto",
    "probability",
    "brightness",
    "contrast",
    "venous-late",
    "venous-late-contrast",
    "maximum",
    "maximum-contrast",
]

Protocols = Annotated[list[Protocol], BeforeValidator(lambda value: unique(split_list(value))), Field(min_length=1)]
NearCopies = Literal["refuse", "leave-out", "allow"]
Variants = Annotated[list[Variant], BeforeValidator(lambda value: unique(split_list(value)))]


_PAPER: dict[str, Any] = {
    "image_size": 512,
    "finetune": "vessels",
    "epochs": 100,
    "steps": None,
    "batch_size": 4,
    "augment": "live",
    "head": {"recipe": "paper"},
    "decoder": {"crop": 512, "views": 4},
    "scratch": {"steps": 2600, "batch_size": 4},
}
_FROZEN = overlay(_PAPER, {"finetune": "frozen", "head": {"recipe": "mlp"}})
PRESETS: dict[str, dict[str, Any]] = {
    "paper": _PAPER,
    "frozen": _FROZEN,
    "quick": overlay(
        _FROZEN,
        {
            "steps": 150,
            "batch_size": 8,
            "augment": "pool",
            "decoder": {"crop": 128},
            "scratch": {"steps": 600},
        },
    ),
}
"""Values of each preset, which the user's settings override.

``paper`` is the protocol of the Fundus2Video foundation-model paper (Methods: encoders fine-tuned for vessels,
512 × 512 pixels, 100 epochs, brightness, contrast, crop and flip augmentation; the perceptron of classification).
``frozen``, the default, is the same with frozen encoders and the head of this package.
"""


class RunSettings(Settings):
    """Keys of `f2vbench run` and `f2vbench plan`, and the arguments of `Benchmark`."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = PRESETS

    task: Names = Field(description="names of task cards; `f2vbench list tasks` lists them")
    train: str | None = Field(None, description="external validation: the task for training, instead of task=")
    test: Names | None = Field(
        None,
        description="external validation: the tasks for testing; their cards have the same classes (of numbers: the "
        "same unit and horizon)",
    )
    model: Names = Field(
        ["fundus2video", "fundus2fa"],
        description="encoders: fundus2video, fundus2fa, pix2pixhd, mae, timm:<name>, …, each with `:<weights file>` or "
        "`:untrained`; `f2vbench list models` lists them; none: baselines alone",
    )
    baselines: Names = Field(
        ["all"], description="baselines, which a model has to beat: all, none, or names (alias: floors)"
    )
    weights: str | dict[str, str] | None = Field(
        None, description="checkpoint, if one model needs it; `weights.<model>=path` if several do"
    )
    shots: Shots = Field(
        [1, 2, 4],
        description="numbers of support images (in classification: per class); 0: zero-shot protocol, all: supervised "
        "protocol",
    )
    seeds: Seeds = Field(
        [0, 1, 2, 3, 4], description="number of seeds (5: seeds 0 to 4), or a list or range: 1,7 or 0-4"
    )
    protocol: Protocols | None = Field(
        None,
        description="zero-shot, few-shot, supervised; for classification also prototype, knn and probe (logistic "
        "regression) on the same support images; by default the protocols that `shots` implies, and prototype and "
        "probe beside few-shot classification",
    )
    data: str | dict[str, str] | None = Field(
        None, description="folder of the data set, or `data.<task>=folder`; by default searched in $F2VBENCH_DATA"
    )
    split: str | dict[str, str] | None = Field(
        None,
        description="official: the owner's (or the usual) training and test images, as in the literature; random; in "
        "classification also a CSV file with the columns image and split, as `f2vbench data split` writes it; or "
        "`split.<task>=…`; by default the split of the task card",
    )
    near_copies: NearCopies = Field(
        "refuse",
        description="external validation: training images that are near-duplicates of test images (re-encoded, "
        "retouched, mirrored, turned): refuse the run, leave-out, or allow",
    )
    out: Path | None = Field(
        None, description="run folder (default: runs/<tasks>, with the suffix -<preset> unless it is paper)"
    )
    device: str = Field("auto", description="auto, cpu, cuda or cuda:<n>")
    precision: Literal["auto", "float32", "bf16"] = Field(
        "auto",
        description="arithmetic of encoders; auto: bf16 on a GPU or a processor that multiplies it (AVX-512 BF16, "
        "AMX), else float32",
    )
    jobs: int | Literal["auto"] = Field("auto", description="worker processes; auto: one per core, or one with a GPU")
    threads: int = Field(
        1, ge=1, description="threads per worker; results are bit-identical only for the same number of threads"
    )
    shard: str | None = Field(None, description="i/n: run every n-th unit starting with the i-th, for array jobs")
    engine: EngineName = Field(
        "local",
        description="what executes the run: local, worker processes on this machine; ray, workers of a Ray cluster; "
        "slurm, an array job of shards. Results do not depend on it",
    )
    ray: RaySettings = Field(RaySettings(), description="workers of engine=ray")
    slurm: SlurmSettings = Field(SlurmSettings(), description="array job of engine=slurm")
    preset: Literal["paper", "frozen", "quick"] = Field(
        "frozen",
        description="paper: encoders fine-tuned for vessels, classification head, image size, epochs and augmentation "
        "of the paper; frozen: the same with frozen encoders and head=mlp; quick: frozen with fewer steps, for a CPU; "
        "the plan lists what differs from the paper",
    )
    image_size: int = Field(512, ge=64, le=4096, description="side of the square input image, in pixels")
    cut: Cut | None = Field(
        None,
        description="layer after which the encoder of a pix2pixHD generator ends, one of its residual blocks; default: "
        "after a third of them (19 in the published shape); whole: the whole generator is the encoder, and its decoder "
        "maps and frames are features too",
    )
    pooling: Pooling = Field(
        "levels",
        description="embeddings of pix2pixHD generators: levels: generalised means of all feature maps; mean: mean of "
        "the last one, as in the papers. A model argument that ends in @levels or @mean has its own",
    )
    finetune: Literal["frozen", "full", "vessels"] = Field(
        "frozen",
        description="frozen: train only the decoder or classification head; full: fine-tune the encoder as well; "
        "vessels: fine-tune it for vessel segmentation alone, as in the paper",
    )
    epochs: int = Field(100, ge=1, description="epochs of decoder training")
    steps: int | None = Field(None, ge=1, description="optimiser steps of decoder training, instead of epochs")
    batch_size: int = Field(4, ge=1, description="training crops per optimiser step")
    augment: Literal["live", "pool", "none"] = Field(
        "live",
        description="brightness, contrast, crop and flip augmentation of support images. live: new views are encoded "
        "at every step; pool: a fixed set of views is encoded in advance; none: stored features only. "
        "Classification with finetune=full: live applies the augmentation of tune.*, none applies none",
    )
    threshold: Literal["auto", "0.5", "support"] = Field(
        "auto",
        description="threshold of score maps: 0.5, or chosen on the support set; auto: 0.5 for probabilities, support "
        "for other scores",
    )
    vessel_score: VesselScoreName = Field(
        "auto",
        description="zero-shot: what of a generator's output is the vessel score. probability: of artery or vein, by "
        "weights that were trained to predict them on simulated eyes. Of the generated angiogram, brightness: mean "
        "venous frame; venous-late: its difference to the mean late frame; maximum: the brightest frame at each pixel; "
        "contrast, …-contrast: the same minus the local background. auto: probability where there is one, else "
        "brightness",
    )
    score_views: Annotated[Literal[1, 8], BeforeValidator(as_integer)] = Field(
        8,
        description="zero-shot: 8 averages the vessel scores of a photograph mirrored and rotated by multiples of 90°; "
        "1 reads the photograph as it is, in an eighth of the time",
    )
    index: str = Field(
        "Flat", description="retrieval: FAISS factory string, such as IVF64,Flat or HNSW32; Flat is exact"
    )
    pca: int | None = Field(
        None, ge=1, description="retrieval: number of principal components, fitted on other patients"
    )
    variant: Variants = Field(
        [],
        description="retrieval: additional evaluations in which hits differ from the query in modality (cross-modal), "
        "view (other-view) or eye (other-eye), or metrics per pair of modalities (modality-pairs)",
    )
    select: Literal["val", "last"] = Field(
        "val",
        description="few-shot classification with head=paper, in fusions and with finetune=full: val selects the epoch "
        "with the best validation AUROC (the validation split has many more labelled images than the support set); "
        "last keeps the last epoch",
    )
    neighbours: int = Field(5, ge=1, description="protocol=knn: number of neighbours")
    head: HeadSettings = Field(HeadSettings(), description="training of classification heads")
    tune: TuneSettings = Field(TuneSettings(), description="fine-tuning of encoders with a classification head")
    decoder: DecoderSettings = Field(DecoderSettings(), description="training of the decoder")
    sam2: MaskDecoderSettings = Field(MaskDecoderSettings(), description="fine-tuning of SAM2's mask decoder")
    scratch: ScratchSettings = Field(ScratchSettings(), description="training of the scratch baseline")
    log: LoggerNames = Field(
        [], description="run loggers that receive settings and means over seeds: wandb, mlflow, trackio, tensorboard"
    )
    keep_heads: bool = Field(
        False,
        description="store the trained heads of few-shot and supervised classification, regression and survival on "
        "frozen encoders in the run folder, for f2vbench predict; units that are done without are run again",
    )
    dry_run: bool = Field(False, description="print the plan and stop")

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, values: Any) -> Any:
        """Merge the preset with the user's values, which win."""
        if not isinstance(values, dict):
            return values
        values = dict(values)
        if "floors" in values:
            if "baselines" in values:
                raise ValueError("baselines and floors are two names of one key; keep baselines")
            values["baselines"] = values.pop("floors")
        for group, key in (("decoder", "network"), ("head", "recipe")):
            if isinstance(values.get(group), str):
                values[group] = {key: values[group]}
        name = values.get("preset", "frozen")
        preset = dict(PRESETS.get(name, {})) if isinstance(name, str) else {}
        for given, other in (("train", "test"), ("test", "train")):
            if given in values and other not in values and "task" not in values:
                raise ValueError(f"{given}={values[given]}: {other}= is missing; external validation needs both")
        if "train" in values and "test" in values and "task" not in values:
            preset["task"] = [f"{values['train']}-to-{test}" for test in split_list(values["test"])]
        if "epochs" in values:
            preset.pop("steps", None)  # otherwise the steps of the preset would override epochs
        return _with_fitting_crop(overlay(preset, values), values)

    @model_validator(mode="after")
    def _check_together(self) -> RunSettings:
        named = [f"{self.train}-to-{test}" for test in self.test or []]
        if (self.train is None) != (self.test is None) or (self.train is not None and self.task != named):
            raise ValueError("train, test: external validation needs both, and no task")
        if "none" in self.model and len(self.model) > 1:
            raise ValueError(f"model={','.join(self.model)}: none excludes other models; keep one of the two")
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device):
            raise ValueError(f"device={self.device}: must be auto, cpu, cuda or cuda:<n>")
        if self.jobs != "auto" and self.jobs < 1:
            raise ValueError(f"jobs={self.jobs}: must be at least 1, or auto")
        if self.shard is not None:
            self.shard_position()
        check_engine(self.engine, self.jobs, self.device, self.shard, ray=self.ray, slurm=self.slurm)
        if self.finetune != "frozen" and self.augment == "pool":
            raise ValueError(
                f"augment=pool: finetune={self.finetune} changes the encoder at every step; use live or none"
            )
        if self.decoder.crop > self.image_size:
            raise ValueError(f"decoder.crop={self.decoder.crop}: must not be larger than image_size={self.image_size}")
        if self.protocol and "few-shot" in self.protocol and not self._numbers():
            raise ValueError("protocol=few-shot: needs a number of support images, such as shots=1,2,4")
        return self

    def shard_position(self) -> tuple[int, int] | None:
        """Parse ``shard=i/n`` to (i, n); None without a shard.

        Raises:
            ValueError: Not of this form, or not 1 ≤ i ≤ n.
        """
        if self.shard is None:
            return None
        found = re.fullmatch(r"(\d+)/(\d+)", self.shard)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise ValueError(f"shard={self.shard}: must be i/n with i from 1 to n, such as shard=1/8")
        return int(found[1]), int(found[2])

    def grid(self) -> list[tuple[Protocol, int | None]]:
        """List the (protocol, shots) pairs of the run.

        ``shots`` is 0 for zero-shot and None for the whole training split. ``prototype``, ``knn`` and ``probe`` run for
        every number of shots, and with ``shots=all`` on the whole training split.
        """
        whole: list[int | None] = [None] if "all" in self.shots else []
        counts = [*self._numbers(), *whole]
        by_shots: dict[Protocol, list[int | None]] = {
            "zero-shot": [0],
            "prototype": counts,
            "knn": counts,
            "few-shot": list(self._numbers()),
            "supervised": [None],
            "probe": counts,
        }
        few = bool(self._numbers())
        implied = {"zero-shot": 0 in self.shots, "few-shot": few, "supervised": bool(whole)}
        # A head is better than the features that it reads only if it beats these two on the same support images.
        implied |= dict.fromkeys(("prototype", "probe"), few and self.finetune != "full")
        protocols: Sequence[str] = self.protocol or [name for name, is_implied in implied.items() if is_implied]
        return [(protocol, shots) for protocol, values in by_shots.items() if protocol in protocols for shots in values]

    def _numbers(self) -> list[int]:
        """Positive numbers of support images."""
        return [shots for shots in self.shots if shots != "all" and shots > 0]

    def decoder_steps(self, support: int, views: int | None = None) -> int:
        """Number of optimiser steps of decoder training: ``steps``, or those of ``epochs``.

        Args:
            support: Number of support images.
            views: Inputs from each support image and epoch; None: ``decoder.views`` crops.
        """
        if self.steps is not None:
            return self.steps
        return self.epochs * math.ceil(support * (views or self.decoder.views) / self.batch_size)

    def folder(self) -> Path:
        """Path of the run folder: ``out``, or a folder named after the tasks and the preset."""
        suffix = "" if self.preset == "frozen" else f"-{self.preset}"
        return self.out if self.out is not None else Path("runs") / ("+".join(self.task) + suffix)

    def preset_changes(self, relevant: Collection[str] | None = None) -> list[str]:
        """List the settings in which the preset differs from the protocol of the paper, one line each.

        Args:
            relevant: Keys that the units of a run depend on, without the part after a dot; by default all.
        """
        paper, preset = flatten(PRESETS["paper"]), flatten(PRESETS[self.preset])
        used = flatten(self.model_dump())
        return [
            f"{key}={value} (paper: {'not set' if paper[key] is None else paper[key]})"
            for key, value in preset.items()
            if value != paper[key]
            and used.get(key) == value
            and (relevant is None or key.partition(".")[0] in relevant)
        ]


def _with_fitting_crop(values: dict[str, Any], by_user: Mapping[str, Any]) -> dict[str, Any]:
    """The values with the crop of the preset reduced to the image size, unless the user sets the crop."""
    decoder = by_user.get("decoder", {})
    if isinstance(decoder, DecoderSettings):
        decoder = decoder.model_dump(exclude_unset=True)
    size, crop = str(values.get("image_size", "")), values.get("decoder", {})
    if not isinstance(decoder, Mapping) or "crop" in decoder or not isinstance(crop, dict) or not size.isdecimal():
        return values
    return overlay(values, {"decoder": {"crop": min(crop.get("crop", 512), int(size))}})
