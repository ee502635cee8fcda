"""Keys of the verb that trains generators."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from f2vbench.config.base import Settings, flatten, overlay
from f2vbench.training.presets import ABLATIONS, MODELS, PRESETS, presets_of

Model = Literal["fundus2video", "fundus2fa", "pix2pixhd", "mae"]
Preset = Literal["paper", "released", "f2v", "mini"]
FRAMES = 12
"""Frames of a video."""
NOT_DECISIVE = {"out", "device", "workers", "save_minutes", "validate_every", "validate_videos", "samples"}
NOT_DECISIVE |= {"export_half", "loss.vgg", "checkpointing", "compile", "data", "threads", "start"}
"""Keys, dotted, that do not decide what is learnt; data are identified by their content."""

Ablation = Literal["none", "attention", "patch-nce", "masked-patch-nce", "discriminators", "lesion-mask", "all"]


class LossSettings(Settings):
    """Weights of the losses, 0 for off, and their variants."""

    gan: float = Field(2.0, ge=0, description="weight of the least-squares GAN loss, summed over scales")
    feature_matching: float = Field(0.0, ge=0, description="weight of the discriminators' feature matching")
    masked_discriminators: bool = Field(True, description="discriminators judge the frames times the mask as well")
    attention: float = Field(4.0, ge=0, description="weight of the knowledge-boosted attention")
    attention_variant: Literal["masked", "full"] = Field(
        "masked", description="masked: attention outside the mask costs nothing (MICCAI paper); full: it costs too"
    )
    attention_layer: Literal[36, 38] = Field(
        38, description="generator layer that is the attention: 38, the last convolution, or 36, the map it reads"
    )
    nce_photograph: float = Field(1.0, ge=0, description="weight of PatchNCE between photograph and frames (UP)")
    nce_truth: float = Field(1.0, ge=0, description="weight of PatchNCE between true and generated frames (SP)")
    nce_patches: Literal["masked-input", "in-mask", "everywhere"] = Field(
        "masked-input", description="use of the mask: multiplied into the images, patches drawn inside it, or none"
    )
    perceptual: float = Field(0.0, ge=0, description="weight of the VGG19 perceptual loss; needs loss.vgg")
    vgg: Path | None = Field(None, description="VGG19 weights of torchvision, vgg19-dcbb9e9d.pth")
    gradient_variance: float = Field(0.0, ge=0, description="weight of the gradient-variance loss, 12 × 12 patches")
    pixel: float = Field(0.0, ge=0, description="weight of the mean absolute difference inside the field of view")
    squared: float = Field(0.0, ge=0, description="weight of the mean squared difference inside the field of view")


class MaeSettings(Settings):
    """The masked autoencoder. Heads are 64 channels wide in the encoder and 32 in the decoder."""

    width: int = Field(768, ge=64, multiple_of=64, description="model=mae: channels of the encoder (mini: 192)")
    depth: int = Field(12, ge=1, description="model=mae: blocks of the encoder")
    decoder_width: int = Field(512, ge=32, multiple_of=32, description="model=mae: channels of the decoder (mini: 96)")
    decoder_depth: int = Field(8, ge=1, description="model=mae: blocks of the decoder (mini: 2)")
    mask: float = Field(0.75, gt=0, lt=1, description="model=mae: share of the patches that the encoder does not see")


_OF_ANGIOGRAMS = frozenset(
    {"ablation", "crop", "frames", "phase", "mask", "loss", "ngf", "ndf", "scales", "photograph", "enlarge"}
    | {"late_crop", "late_epochs", "pixel_epochs", "windows"}
    | {"truth_start", "truth_end", "truth_videos"}
)
_OF_MAE = frozenset({"mae"})


class TrainSettings(Settings):
    """Keys of `f2vbench train`."""

    presets: ClassVar[dict[str, dict[str, Any]]] = PRESETS

    model: Model = Field(
        "fundus2video",
        description="fundus2video: 12 frames in windows of 3; fundus2fa: one frame of the phase `phase`; pix2pixhd: "
        "one frame with pix2pixHD's own losses; mae: a masked autoencoder of the photographs alone",
    )
    preset: Preset = Field(
        "f2v",
        description="paper, released (its defects corrected), f2v (ours) or mini (CPU); model=mae has the last two",
    )
    ablation: Ablation = Field(
        "all", description="the mask techniques alone or together, as in the ablation of the MICCAI paper"
    )
    data: str = Field("phantom", description="phantom, a table in the released format, or a folder of cases")
    out: Path | None = Field(None, description="run folder (default runs/<model>-<preset>); an unfinished one goes on")
    start: Path | None = Field(
        None,
        description="weights to begin with, a file or a card's name, of the same model and widths, instead of random "
        "ones; fundus2video takes those of a model of one frame as well",
    )
    seed: int = Field(0, ge=0, description="initial weights, order, augmentation and sampling")
    image_size: int = Field(512, ge=64, le=2048, multiple_of=16, description="side of the training images, pixels")
    photograph: Literal["plain", "normalised"] = Field(
        "plain", description="normalised: the generator sees photographs less their local mean, over local contrast"
    )
    enlarge: Literal[1, 2, 4] = Field(
        1, description="the generator sees squares enlarged so many times, so that thin vessels pass its bottleneck"
    )
    crop: int | None = Field(
        None, ge=64, multiple_of=16, description="side of random crops of the enlarged squares to train on; none: all"
    )
    late_crop: int | None = Field(None, ge=64, multiple_of=16, description="side of the crops in the last epochs")
    late_epochs: int = Field(0, ge=0, description="last epochs that see crops of late_crop, nearer to whole squares")
    eyes: int = Field(200, ge=1, description="data=phantom: simulated eyes in an epoch, new ones in each")
    renew: int = Field(1, ge=1, description="data=phantom: epochs after which new eyes are simulated")
    split: list[float] = Field(
        [70, 15, 15], min_length=3, max_length=3, description="shares of patients for training, validation and test"
    )
    frames: Literal["uniform", "random"] = Field(
        "random", description="how 4 frames are taken from each phase's: at equal distances, or by chance"
    )
    augment: Literal["none", "paper", "released", "f2v", "mae"] = Field(
        "f2v",
        description="of training videos: crops, scales and flips of photograph and frames alike, colours of the "
        "photograph alone; how much of each, by the preset's name; mae: crops of 20 to 100 % of the area, and flips",
    )
    phase: Literal["arterial", "venous", "late"] = Field(
        "venous", description="models of one frame: the last of the phase's four frames is the target"
    )
    mask: Literal["knowledge", "lesions"] = Field("knowledge", description="the mask of all mask-guided losses")
    ngf: int = Field(64, ge=1, description="channels of the generator's first layer")
    ndf: int = Field(64, ge=1, description="channels of the discriminators' first layer")
    scales: int = Field(3, ge=1, le=4, description="discriminators: at full size, half, a quarter, …")
    epochs: int = Field(50, ge=1, description="passes over the training videos")
    pixel_epochs: int = Field(
        0, ge=0, description="first epochs with loss.pixel and loss.squared alone, before all others join"
    )
    windows: int = Field(
        12,
        ge=1,
        le=12,
        description="windows in a row of a video that are trained on: one of its equal parts, by chance",
    )
    warmup_epochs: int = Field(0, ge=0, description="epochs in which the learning rate rises from zero, linearly")
    flat_epochs: int = Field(0, ge=0, description="epochs at the full learning rate; then it falls to zero")
    fall: Literal["linear", "cosine"] = Field(
        "linear", description="how the learning rate falls: on a line, or as half a cosine"
    )
    update_every: int | None = Field(None, ge=1, description="iterations between changes of the rate; default an epoch")
    learning_rate: float = Field(2e-3, gt=0, description="of Adam, for all networks")
    beta1: float = Field(0.5, ge=0, lt=1, description="of Adam")
    beta2: float = Field(0.999, ge=0, lt=1, description="of Adam")
    weight_decay: float = Field(0.0, ge=0, description="as in AdamW; not of biases and norms")
    batch_size: int = Field(1, ge=1, description="videos in a step, over all processes together")
    truth_start: float = Field(0.5, gt=0, le=1, description="probability of true frames as a window's input, at first")
    truth_end: float = Field(0.5, gt=0, le=1, description="and in the last of ten stages, after which it is 0")
    truth_videos: int | None = Field(None, ge=10, description="videos the ten stages take; none: truth_start for ever")
    ema: float = Field(
        0.0, ge=0, lt=1, description="decay of the averaged generator that is tested and exported; 0: off"
    )
    loss: LossSettings = Field(LossSettings(), description="weights and variants of the losses")
    mae: MaeSettings = Field(MaeSettings(), description="the masked autoencoder")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:<n>")
    precision: Literal["auto", "float32", "bf16"] = Field(
        "auto", description="arithmetic of the networks: auto is bf16 on a GPU or CPU that has it, else float32"
    )
    threads: int = Field(1, ge=1, description="of a CPU; with one, going on gives the same bits, more are faster")
    checkpointing: bool = Field(False, description="compute residual blocks twice and save the memory of their maps")
    compile: bool = Field(False, description="torch.compile the networks: minutes at the start, faster steps")
    workers: int = Field(0, ge=0, description="processes that prepare videos; 0: the training itself")
    save_minutes: float = Field(15.0, gt=0, description="minutes between checkpoints within an epoch")
    validate_videos: int = Field(32, ge=1, description="validation videos that are measured after an epoch, at most")
    validate_every: int = Field(1, ge=1, description="epochs between validations; the last epoch always has one")
    samples: int = Field(4, ge=0, description="validation videos whose strips are drawn after an epoch")
    export_half: bool = Field(False, description="export the generator in half precision")

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: Any) -> Any:
        """The user's words over the ablation's, over the model's, over the preset's."""
        if not isinstance(values, dict):
            return values
        model = values.get("model", "fundus2video")
        idle = sorted(key for key in flatten(values) if key.partition(".")[0] in _idle(model))
        if idle:
            raise ValueError(f"model={model} does not use {', '.join(idle)}: leave it out")
        filled: dict[str, Any] = {}
        tables = (("preset", presets_of(model), "f2v"), ("model", MODELS, ""), ("ablation", ABLATIONS, ""))
        for key, known, usual in tables:
            name = values.get(key, usual)
            filled = overlay(filled, known.get(name, {}) if isinstance(name, str) else {})
        for key in ("truth_videos", "update_every", "crop", "late_crop"):
            if values.get(key) == "none":
                values = {**values, key: None}
        if isinstance(values.get("split"), str):
            values = {**values, "split": re.split(r"[,/]", values["split"])}
        if values.get("crop", "") is None:
            filled |= {"late_crop": None, "late_epochs": 0}
        filled |= _scaled_epochs(filled, values.get("epochs"))
        return overlay(filled, values)

    @model_validator(mode="after")
    def _check_together(self) -> TrainSettings:
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device):
            raise ValueError(f"device={self.device}: must be auto, cpu, cuda or cuda:<n>")
        for key in ("flat_epochs", "warmup_epochs", "pixel_epochs", "late_epochs"):
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
        else:
            self._check_generator()
        return self

    def _check_mae(self) -> None:
        """What a masked autoencoder can't be trained with."""
        patches = (self.image_size // 16) ** 2
        if not 1 <= round(patches * (1 - self.mae.mask)) < patches:
            raise ValueError(
                f"mae.mask={self.mae.mask}: of {patches} patches at least one has to be seen and one hidden"
            )

    def _check_generator(self) -> None:
        """What the losses of a generator need, and which of them its model can have."""
        if self.pixel_epochs and not (self.loss.pixel or self.loss.squared):
            raise ValueError(f"pixel_epochs={self.pixel_epochs} needs loss.pixel or loss.squared above 0: give one")
        if FRAMES % self.windows:
            raise ValueError(f"windows={self.windows}: equal parts of {FRAMES} frames are of 1, 2, 3, 4, 6 or 12")
        if self.late_epochs and not self.late_crop:
            raise ValueError(f"late_epochs={self.late_epochs} needs late_crop=<side>, or leave it out")
        if self.late_crop and self.crop is None:
            raise ValueError(f"late_crop={self.late_crop}: without crop= all epochs see whole squares; leave it out")
        for name in ("crop", "late_crop"):
            side, most = getattr(self, name), self.image_size * self.enlarge
            if side is not None and side > most:
                raise ValueError(f"{name}={side} is larger than image_size × enlarge = {most}: lower it")
        if self.loss.perceptual and self.loss.vgg is None:
            raise ValueError(
                f"loss.perceptual={self.loss.perceptual:g} needs weights of VGG19: download "
                "torchvision's vgg19-dcbb9e9d.pth and give loss.vgg=<its path>, or leave it out: loss.perceptual=0"
            )
        if self.model != "fundus2video" and self.ablation != "all":
            raise ValueError(f"ablation={self.ablation}: only model=fundus2video has mask techniques to leave out")
        if self.model != "fundus2video" and self.uses_mask():
            raise ValueError(
                f"model={self.model} has one frame and no mask: leave the attention, PatchNCE and "
                "masked discriminators off"
            )
        if self.ablation == "attention" and not self.loss.attention:
            raise ValueError(f"ablation=attention: preset={self.preset} has no attention loss; give loss.attention=4")
        enough = ("gan", "pixel", "squared", "perceptual", "feature_matching")
        if not any(getattr(self.loss, name) for name in enough):
            raise ValueError(f"nothing to learn from: one of {', '.join('loss.' + n for n in enough)} must be above 0")

    @property
    def phase_of_frame(self) -> str | None:
        """Which phase the frame of a model of one frame is of; None for others."""
        return self.phase if self.model in ("fundus2fa", "pix2pixhd") else None

    def uses_mask(self) -> bool:
        """Whether any loss needs the mask."""
        loss = self.loss
        needs = loss.attention or (self.uses_nce() and loss.nce_patches != "everywhere")
        return bool(needs or (self.uses_discriminators() and loss.masked_discriminators))

    def uses_nce(self) -> bool:
        return bool(self.loss.nce_photograph or self.loss.nce_truth)

    def uses_discriminators(self) -> bool:
        return bool(self.loss.gan or self.loss.feature_matching)

    def seen(self) -> dict[str, str]:
        """How photographs are shown to the generator, and the phase of a single frame, as its file's metadata tell."""
        phase = {} if self.phase_of_frame is None else {"phase": self.phase_of_frame}
        return {"enlarge": str(self.enlarge), "photograph": self.photograph, **phase}

    def folder(self) -> Path:
        """The run folder: ``out``, or one named by model, preset and ablation."""
        ablation = "" if self.ablation == "all" else f"-{self.ablation}"
        return self.out if self.out is not None else Path("runs") / f"{self.model}-{self.preset}{ablation}"

    def in_use(self) -> dict[str, Any]:
        """The settings without those that the model does not use, ready for JSON and YAML."""
        return self.model_dump(mode="json", exclude=set(_idle(self.model)))

    def decisive(self) -> dict[str, Any]:
        """The settings that decide what is learnt, flat; a training can go on only under the same."""
        return {key: value for key, value in flatten(self.in_use()).items() if key not in NOT_DECISIVE}


def _scaled_epochs(preset: dict[str, Any], epochs: Any) -> dict[str, int]:
    """The preset's numbers of epochs of one kind, for another number of epochs in all."""
    usual = preset.get("epochs")
    if usual is None or not str(epochs).isdecimal():
        return {}
    kinds = ("flat_epochs", "pixel_epochs", "late_epochs")
    return {kind: round(preset[kind] * int(epochs) / usual) for kind in kinds if kind in preset}


def _idle(model: object) -> frozenset[str]:
    """Keys that a model has no use for."""
    return _OF_ANGIOGRAMS if model == "mae" else _OF_MAE
