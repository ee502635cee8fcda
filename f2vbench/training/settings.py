"""Keys of `f2vbench train`. Importing this module does not import torch."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from f2vbench.config.base import Settings, as_integer, flatten, overlay
from f2vbench.config.run_loggers import LoggerNames
from f2vbench.encoders.model_family import FRAMES, Skips, TimeInput
from f2vbench.encoders.samplers import parse_sampler
from f2vbench.errors import SettingsError
from f2vbench.training.loss_settings import LossSettings
from f2vbench.training.model_settings import (
    VIDEO_MODELS,
    DiffusionSettings,
    MaeSettings,
    Seg2VidSettings,
    unused_keys,
)
from f2vbench.training.presets import ABLATIONS, MODELS, OWN_DATA, PRESETS, presets_of, scaled_epoch_counts

Model = Literal["fundus2video", "fundus2fa", "pix2pixhd", "truth", "seg2vid", "med-ddpm", "mae"]
Preset = Literal["paper", "released", "f2v", "mini"]
Ablation = Literal["none", "attention", "patch-nce", "masked-patch-nce", "discriminators", "lesion-mask", "all"]

NOT_IN_IDENTITY = {"out", "device", "workers", "save_minutes", "validate_every", "validate_videos", "samples"}
NOT_IN_IDENTITY |= {"export_half", "loss.vgg", "checkpointing", "compile", "data", "threads", "start"}
NOT_IN_IDENTITY |= {"patients", "diffusion.sampler"}
"""Dotted keys that do not affect the trained weights, or (``data``, ``start``, and ``patients`` by the cases of each
split) are identified by file content."""


_REQUIRED = object()
_LATER_KEYS: dict[str, Any] = {
    "phases": "named",
    "loss.gan_masked": None,
    "loss.feature_matching_views": "all",
    "loss.masked_photograph": False,
    "loss.gradient_variance_frames": "each",
}
"""Keys that the identity has only with another value than this one, so that earlier trainings can be resumed."""


class TrainSettings(Settings):
    """Keys of `f2vbench train`."""

    presets: ClassVar[dict[str, dict[str, Any]]] = PRESETS

    model: Model = Field(
        "fundus2video",
        description="fundus2video: 12 frames, predicted in windows of 3; fundus2fa: one frame of the phase `phase`; "
        "pix2pixhd: one frame with the losses of pix2pixHD; truth: what the simulator knows instead of frames, vessels "
        "by type, disc, fovea and kinds of lesions; seg2vid: 12 frames by a variational autoencoder of flow; "
        "med-ddpm: 12 frames by conditional diffusion; mae: a masked autoencoder of the photographs alone",
    )
    preset: Preset = Field(
        "f2v",
        description="paper, released (the released code, corrected), f2v (the default) or mini (for a CPU); seg2vid, "
        "med-ddpm and mae have f2v and mini",
    )
    ablation: Ablation = Field(
        "all", description="which mask techniques are used, as in the ablation of the MICCAI paper"
    )
    data: str = Field("phantom", description="phantom, a table in the released format, or a folder of cases")
    out: Path | None = Field(
        None, description="run folder (default runs/<model>-<preset>); an unfinished training in it is resumed"
    )
    start: Path | None = Field(
        None,
        description="initial weights, a file or the name of a weights card, of the same model and widths; by default "
        "random weights. fundus2video also accepts a single-frame model",
    )
    seed: int = Field(0, ge=0, description="of initial weights, order, augmentation and sampling")
    image_size: int = Field(512, ge=64, le=2048, multiple_of=16, description="side of the training images, pixels")
    photograph: Literal["plain", "normalised"] = Field(
        "plain",
        description="input of the generator; normalised: photographs minus their local mean, divided by their local "
        "contrast",
    )
    enlarge: Annotated[Literal[1, 2, 4], BeforeValidator(as_integer)] = Field(
        1, description="magnification of the squares for the generator, so that thin vessels pass its bottleneck"
    )
    crop: int | None = Field(
        None,
        ge=64,
        multiple_of=16,
        description="side of random training crops of the magnified squares, pixels; none: whole squares",
    )
    late_crop: int | None = Field(
        None, ge=64, multiple_of=16, description="side of the crops in the last epochs, pixels"
    )
    late_epochs: int = Field(0, ge=0, description="number of last epochs with crops of late_crop")
    eyes: int = Field(200, ge=1, description="data=phantom: simulated eyes in an epoch")
    renew: int = Field(1, ge=1, description="data=phantom: epochs after which new eyes are simulated")
    targets: Literal["acquired", "noise-free"] = Field(
        "acquired",
        description="data=phantom: training frames as they are acquired, or noise-free: without noise, motion and gain "
        "drift. Validation frames are always acquired ones",
    )
    split: list[float] = Field(
        [70, 15, 15], min_length=3, max_length=3, description="shares of patients for training, validation and test"
    )
    patients: Literal["as-written", "normalise"] = Field(
        "as-written",
        description="data=<files>: normalise: patients whose names differ only in case, leading zeros, punctuation or "
        "an eye suffix are one patient",
    )
    frames: Literal["uniform", "random"] = Field(
        "random", description="selection of 4 training frames from each phase: at equal distances, or at random"
    )
    phases: Literal["named", "released"] = Field(
        "named",
        description="phases in a table in the released format: named: arterial, venous and late; released: as in the "
        "released code, A and C are left out, AV is V, and a video has the phases that are there",
    )
    augment: Literal["none", "paper", "released", "f2v", "mini", "mae"] = Field(
        "f2v",
        description="augmentation of training videos, by the name of a preset: crops, scales and flips of photograph "
        "and frames alike, colour changes of the photograph; mae: crops of 20 to 100 % of the area, and flips",
    )
    phase: Literal["arterial", "venous", "late"] = Field(
        "venous", description="single-frame models: the last of the phase's four frames is the target"
    )
    mask: Literal["knowledge", "lesions"] = Field("knowledge", description="the mask of all mask-guided losses")
    ngf: int = Field(64, ge=1, description="channels of the generator's first layer")
    downsamplings: int = Field(4, ge=1, le=5, description="downsampling layers of the generator, each of stride 2")
    blocks: int = Field(9, ge=1, description="residual blocks of the generator")
    skips: Skips = Field(
        "none",
        description="additive: each feature map of the generator's first half is added to the map of the second half "
        "at the same stride",
    )
    time: TimeInput = Field(
        "none", description="model=fundus2video: plane: an input channel with the position of the window in the video"
    )
    ndf: int = Field(64, ge=1, description="channels of the discriminators' first layer")
    scales: int = Field(3, ge=1, le=4, description="discriminators: at full resolution, half, a quarter, …")
    epochs: int = Field(50, ge=1, description="passes over the training videos")
    minutes: float | None = Field(
        None,
        gt=0,
        description="wall-clock budget of the training, validation and export included. It replaces the number of "
        "passes: the schedule, in shares of `epochs`, follows the time",
    )
    pixel_epochs: int = Field(
        0,
        ge=0,
        description="number of first epochs with loss.pixel, loss.squared, loss.gradient and loss.truth alone, without "
        "the other losses",
    )
    windows: int = Field(
        12,
        ge=1,
        le=12,
        description="consecutive windows of a video in an epoch: all 12, or a random one of its equal parts, drawn "
        "for each video",
    )
    rollout_epochs: int = Field(
        0,
        ge=0,
        description="number of last epochs with all 12 windows of a video, in which every window receives generated "
        "frames",
    )
    previous_dropped: float = Field(
        0.0,
        ge=0,
        le=1,
        description="probability that true frames as the input of a window are replaced by the photograph; otherwise "
        "they are blurred and made noisy by a random amount. 0: true frames are used as they are",
    )
    warmup_epochs: int = Field(0, ge=0, description="epochs in which the learning rate rises linearly from zero")
    flat_epochs: int = Field(0, ge=0, description="epochs at the full learning rate, before it decays to zero")
    fall: Literal["linear", "cosine"] = Field(
        "linear", description="decay of the learning rate: linear, or half a cosine"
    )
    update_every: int | None = Field(
        None,
        ge=1,
        description="iterations between changes of the learning rate; default an epoch; with minutes=, each iteration",
    )
    learning_rate: float = Field(2e-3, gt=0, description="of Adam, for all networks")
    beta1: float = Field(0.5, ge=0, lt=1, description="of Adam")
    beta2: float = Field(0.999, ge=0, lt=1, description="of Adam")
    weight_decay: float = Field(0.0, ge=0, description="of AdamW, without biases and norms")
    batch_size: int = Field(1, ge=1, description="videos in a step, over all processes together")
    truth_start: float = Field(
        0.5, gt=0, le=1, description="initial probability of teacher forcing (true frames as the input of a window)"
    )
    truth_end: float = Field(
        0.5, gt=0, le=1, description="probability of teacher forcing in the last of ten stages, after which it is 0"
    )
    truth_videos: int | None = Field(
        None, ge=10, description="training videos in the ten stages; none: truth_start in the whole training"
    )
    ema: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="decay of the moving average of the weights, which is validated and exported; 0: no average",
    )
    loss: LossSettings = Field(LossSettings(), description="weights and variants of the losses")
    mae: MaeSettings = Field(MaeSettings(), description="the masked autoencoder")
    seg2vid: Seg2VidSettings = Field(Seg2VidSettings(), description="the autoencoder of flow")
    diffusion: DiffusionSettings = Field(DiffusionSettings(), description="the diffusion model")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:<n>")
    precision: Literal["auto", "float32", "bf16"] = Field(
        "auto", description="arithmetic of the networks; auto: bf16 where the GPU or CPU supports it, else float32"
    )
    threads: int = Field(1, ge=1, description="CPU threads; with 1, a resumed training gives identical weights")
    checkpointing: bool = Field(
        False, description="recompute residual blocks in the backward pass, which saves memory and costs time"
    )
    compile: bool = Field(False, description="torch.compile the networks: a start of minutes, then faster steps")
    workers: int = Field(0, ge=0, description="processes that prepare videos; 0: the training process itself")
    save_minutes: float = Field(15.0, gt=0, description="minutes between checkpoints within an epoch")
    validate_videos: int = Field(32, ge=1, description="largest number of validation videos after an epoch")
    validate_every: int = Field(1, ge=1, description="epochs between validations; the last epoch always has one")
    log: LoggerNames = Field([], description="run loggers beside log.jsonl: wandb, mlflow, trackio, tensorboard")
    samples: int = Field(4, ge=0, description="validation videos that are drawn after an epoch")
    export_half: bool = Field(False, description="export the generator in half precision")

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: Any) -> Any:
        """Fill in the preset, then the model, the ablation and the kind of data, then the values of the user."""
        if not isinstance(values, dict):
            return values
        model = values.get("model", "fundus2video")
        unused = sorted(key for key in flatten(values) if key.partition(".")[0] in unused_keys(model))
        if unused:
            raise ValueError(f"model={model} does not use {', '.join(unused)}: leave it out")
        filled: dict[str, Any] = {}
        tables = (("preset", presets_of(model), "f2v"), ("model", MODELS, ""), ("ablation", ABLATIONS, ""))
        for key, table, default in tables:
            name = values.get(key, default)
            filled = overlay(filled, table.get(name, {}) if isinstance(name, str) else {})
        if values.get("data", "phantom") != "phantom":
            filled |= OWN_DATA
        for key in ("truth_videos", "update_every", "crop", "late_crop", "minutes"):
            if values.get(key) == "none":
                values = {**values, key: None}
        if isinstance(values.get("split"), str):
            values = {**values, "split": re.split(r"[,/]", values["split"])}
        if values.get("crop", "") is None:
            filled |= {"late_crop": None, "late_epochs": 0}
        filled |= scaled_epoch_counts(filled, values.get("epochs"))
        return overlay(filled, values)

    @model_validator(mode="after")
    def _check_together(self) -> TrainSettings:
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device):
            raise ValueError(f"device={self.device}: must be auto, cpu, cuda or cuda:<n>")
        for key in ("flat_epochs", "warmup_epochs", "pixel_epochs", "late_epochs", "rollout_epochs"):
            if getattr(self, key) > self.epochs:
                raise ValueError(f"{key}={getattr(self, key)} is more than epochs={self.epochs}: lower it")
        if min(self.split) < 0 or self.split[0] <= 0:
            raise ValueError(f"split={self.split}: shares such as 70/15/15, the first above 0")
        if self.preset not in presets_of(self.model):
            raise ValueError(
                f"preset={self.preset}: model={self.model} has the presets {' and '.join(presets_of(self.model))}"
            )
        if self.model == "mae":
            self._check_mae()
        elif self.model in VIDEO_MODELS:
            self._check_video_model()
        else:
            self._check_generator()
        return self

    def _check_mae(self) -> None:
        patches = (self.image_size // 16) ** 2
        if not 1 <= round(patches * (1 - self.mae.mask)) < patches:
            raise ValueError(
                f"mae.mask={self.mae.mask}: of {patches} patches at least one must be visible and one masked"
            )

    def _check_video_model(self) -> None:
        """Check that the sides of the levels are whole numbers, and that the sampler fits the noise."""
        if self.data != "phantom" and self.targets == "noise-free":
            raise ValueError("targets=noise-free needs what only the simulator knows: use it with data=phantom")
        if self.model == "seg2vid":
            return  # image_size is a multiple of 16, its stride
        if self.checkpointing and self.diffusion.network == "3d":
            raise ValueError("checkpointing=true: diffusers has it for diffusion.network=2d alone; leave it out")
        multiple = 2 ** (len(self.diffusion.channels) - 1)
        if self.image_size % multiple:
            raise ValueError(
                f"image_size={self.image_size}: {len(self.diffusion.channels)} levels (diffusion.channels) need a "
                f"multiple of {multiple} pixels"
            )
        try:
            parse_sampler(self.diffusion.sampler, self.diffusion.noise_steps, "diffusion.sampler")
        except SettingsError as error:
            raise ValueError(str(error)) from error

    def _check_generator(self) -> None:
        """Check that the losses fit the model, and that crops and windows fit the videos."""
        if self.pixel_epochs and not (self.loss.pixel or self.loss.squared):
            raise ValueError(f"pixel_epochs={self.pixel_epochs} needs loss.pixel or loss.squared above 0: set one")
        if self.minutes is not None and self.late_epochs:
            raise ValueError("minutes= has no late_epochs: leave one of them out")
        if self.data != "phantom" and (self.model == "truth" or self.targets == "noise-free"):
            key = "model=truth" if self.model == "truth" else "targets=noise-free"
            raise ValueError(f"{key} needs what only the simulator knows: use it with data=phantom")
        if self.model != "fundus2video" and (self.time != "none" or self.rollout_epochs):
            key = "time=plane" if self.time != "none" else f"rollout_epochs={self.rollout_epochs}"
            raise ValueError(f"{key}: only model=fundus2video has windows; leave it out")
        if FRAMES % self.windows:
            raise ValueError(f"windows={self.windows}: must divide {FRAMES} frames equally: 1, 2, 3, 4, 6 or 12")
        if self.late_epochs and not self.late_crop:
            raise ValueError(f"late_epochs={self.late_epochs} needs late_crop=<side>: set it, or leave late_epochs out")
        if self.late_crop and self.crop is None:
            raise ValueError(f"late_crop={self.late_crop}: without crop= all epochs use whole squares; leave it out")
        largest, multiple = self.image_size * self.enlarge, 2**self.downsamplings
        sides = {"crop": self.crop, "late_crop": self.late_crop, "image_size × enlarge": largest}
        for name, side in sides.items():
            if side is not None and side > largest:
                raise ValueError(f"{name}={side} is larger than image_size × enlarge = {largest}: lower it")
            if side is not None and side % multiple:
                raise ValueError(
                    f"{name}={side}: downsamplings={self.downsamplings} need a multiple of {multiple} pixels"
                )
        if self.loss.perceptual and self.loss.vgg is None:
            raise ValueError(
                f"loss.perceptual={self.loss.perceptual:g} needs weights of VGG19: download torchvision's "
                "vgg19-dcbb9e9d.pth and set loss.vgg=<its path>, or switch the loss off with loss.perceptual=0"
            )
        if self.model != "fundus2video" and self.phases == "released":
            raise ValueError("phases=released: the model needs the frame of a named phase; leave it out")
        if self.model != "fundus2video" and self.ablation != "all":
            raise ValueError(f"ablation={self.ablation}: only model=fundus2video has mask techniques")
        if self.model != "fundus2video" and self.uses_mask():
            raise ValueError(
                f"model={self.model} has one frame and no mask: switch attention, PatchNCE and masked discriminators "
                "off"
            )
        if self.ablation == "attention" and not self.loss.attention:
            raise ValueError(f"ablation=attention: preset={self.preset} has no attention loss; set loss.attention=4")
        if self.model == "truth":
            if not self.loss.truth:
                raise ValueError("loss.truth=0: model=truth has no other loss; set it above 0")
            return
        main_losses = ("gan", "pixel", "squared", "perceptual", "feature_matching")
        if not any(getattr(self.loss, name) for name in main_losses):
            keys = ", ".join(f"loss.{name}" for name in main_losses)
            raise ValueError(f"no loss compares frames with the truth: set one of {keys} above 0")

    @property
    def single_frame_phase(self) -> str | None:
        """The phase of a single-frame model; None for other models."""
        return self.phase if self.model in ("fundus2fa", "pix2pixhd") else None

    def uses_mask(self) -> bool:
        """Whether a loss uses the mask."""
        loss = self.loss
        needs = loss.attention or (self.uses_nce() and loss.nce_patches != "everywhere")
        return bool(needs or (self.uses_discriminators() and loss.masked_discriminators))

    def uses_nce(self) -> bool:
        """Whether a PatchNCE loss is on."""
        return bool(self.loss.nce_photograph or self.loss.nce_truth)

    def uses_discriminators(self) -> bool:
        """Whether a loss needs the discriminators."""
        return bool(self.loss.gan or self.loss.feature_matching)

    def input_metadata(self) -> dict[str, str]:
        """What the metadata of the export say.

        Preprocessing of the photographs; the phase of a single-frame model; of `VIDEO_MODELS`, shape of the network.
        """
        if self.model in VIDEO_MODELS:
            notes = {"photograph": self.photograph, "side": str(self.image_size)}
            if self.model == "seg2vid":
                return {**notes, "seg2vid": json.dumps(self.seg2vid.model_dump(include={"width", "latent"}))}
            shape = self.diffusion.model_dump(exclude={"sampler"})
            return {**notes, "sampler": self.diffusion.sampler, "diffusion": json.dumps(shape)}
        phase = {} if self.single_frame_phase is None else {"phase": self.single_frame_phase}
        skips = {} if self.skips == "none" else {"skips": self.skips}
        return {"enlarge": str(self.enlarge), "photograph": self.photograph, **phase, **skips}

    def folder(self) -> Path:
        """The run folder: ``out``, or a name made of model, preset and ablation."""
        ablation = "" if self.ablation == "all" else f"-{self.ablation}"
        return self.out if self.out is not None else Path("runs") / f"{self.model}-{self.preset}{ablation}"

    def used(self) -> dict[str, Any]:
        """The settings that the model uses, nested, for JSON and YAML."""
        return self.model_dump(mode="json", exclude={*unused_keys(self.model), "log"})

    def identity(self) -> dict[str, Any]:
        """The settings that affect the trained weights, by dotted key; a training resumes only with equal ones."""
        used = {key: value for key, value in flatten(self.used()).items() if key not in NOT_IN_IDENTITY}
        return {key: value for key, value in used.items() if _LATER_KEYS.get(key, _REQUIRED) != value}
