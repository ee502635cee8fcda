"""`med-ddpm`: conditional diffusion of angiogram videos, on the networks and schedulers of diffusers.

After Med-DDPM (Dorjsembe et al. 2023), where a volume is denoised whose condition is concatenated with it. Here the
volume is the twelve frames, and the condition is the photograph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, cast

import torch
from torch import Tensor, nn

from f2vbench.encoders.model_family import FRAMES
from f2vbench.encoders.registry import FAMILIES
from f2vbench.encoders.samplers import DEFAULT_SAMPLER, Prediction, Sampler, parse_sampler
from f2vbench.encoders.spec import INIT_SEED, ModelSpec
from f2vbench.encoders.video_network import VideoNetwork, read_network_metadata
from f2vbench.errors import SettingsError, WeightsError
from f2vbench.pretrained.checkpoints import read_state_dict
from f2vbench.pretrained.state_dicts import match_state_dict
from f2vbench.utils.torchvision_compat import allow_missing_torchvision_ops

_NORM_GROUPS = 8
_HEAD_CHANNELS = 8
_TEXT_CHANNELS = 8  # of the token that takes the place of a text in UNet3DConditionModel
_UNTRAINED_SIDE = 128  # px, that of `preset=mini`
_PREDICTION_TYPES = {"noise": "epsilon", "frames": "sample"}  # the names of diffusers
_LOWEST_LOG_SNR = -5.1  # from which DPM-Solver++ starts; the first steps of a cosine schedule are below it


@dataclass(frozen=True)
class DiffusionShape:
    """Shape of a denoising network and its noise; the defaults are those of `preset=mini`.

    Attributes:
        network: `2d`, diffusers' `UNet2DModel` with the frames as channels; `3d`, its `UNet3DConditionModel`, with
            convolutions and attention over time.
        channels: Channels of the levels, finest first; each level has half the side of the one before.
        layers: Residual blocks of a level.
        noise_steps: Steps in which a video becomes noise.
        prediction: What the network predicts: `noise`, as in Med-DDPM, or the `frames` without noise, which a small
            network learns in fewer steps, because it need not pass the noise of twelve frames from input to output.
    """

    network: str = "2d"
    channels: tuple[int, ...] = (24, 48, 64, 96, 128)
    layers: int = 1
    noise_steps: int = 250
    prediction: Prediction = "frames"

    @classmethod
    def from_metadata(cls, values: Mapping[str, Any]) -> DiffusionShape:
        """The shape in the metadata of a weights file, where lists replace tuples.

        Raises:
            ValueError: Values are missing, or not those of a shape.
        """
        names = [field.name for field in fields(cls)]
        missing = [name for name in names if name not in values]
        if missing:
            raise ValueError(f"{', '.join(missing)} missing")
        shape = cls(
            str(values["network"]),
            tuple(map(int, values["channels"])),
            int(values["layers"]),
            int(values["noise_steps"]),
            values["prediction"],
        )
        if shape.network not in ("2d", "3d"):
            raise ValueError(f"network={shape.network}")
        if shape.prediction not in _PREDICTION_TYPES:
            raise ValueError(f"prediction={shape.prediction}")
        return shape


class DenoisingNetwork(nn.Module):
    """Predicts the noise in a video, or its frames without noise, from the noisy video and the photograph.

    Args:
        shape: Of the network.

    Raises:
        SettingsError: diffusers is not installed.
    """

    def __init__(self, shape: DiffusionShape):
        super().__init__()
        self.shape = shape
        self.unet = _unet(shape)
        # UNet3DConditionModel has a fixed dropout of 0.1 in its convolutions over time. Med-DDPM has none, and dropout
        # draws from the global random state, so that a resumed training would be another one.
        for layer in self.modules():
            if isinstance(layer, nn.Dropout):
                layer.p = 0.0

    def forward(self, noisy: Tensor, photograph: Tensor, steps: Tensor) -> Tensor:
        """Predict the noise or the frames.

        Args:
            noisy: (n, 12, h, w), a video with noise.
            photograph: (n, 3, h, w) in [−1, 1].
            steps: int64 (n,), the noise step of each video, from 0.

        Returns:
            (n, 12, h, w).
        """
        if self.shape.network == "2d":
            predicted: Tensor = self.unet(torch.cat([noisy, photograph], 1), steps, return_dict=False)[0]
            return predicted
        condition = photograph[:, :, None].expand(-1, -1, noisy.shape[1], -1, -1)
        text = noisy.new_zeros(len(noisy), 1, _TEXT_CHANNELS)
        volume = torch.cat([noisy[:, None], condition], 1)
        predicted = self.unet(volume, steps, text, return_dict=False)[0]
        return predicted[:, 0]


def denoising_network(shape: DiffusionShape, seed: int = INIT_SEED) -> DenoisingNetwork:
    """An untrained network whose weights depend on the seed alone; the global random state does not change.

    Args:
        shape: Of the network.
        seed: Of the weights.

    Raises:
        SettingsError: diffusers is not installed.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return DenoisingNetwork(shape)


def noise_schedule(noise_steps: int) -> Any:
    """The `DDPMScheduler` of diffusers with the squared-cosine schedule of Nichol and Dhariwal 2021, as in Med-DDPM.

    Args:
        noise_steps: Number of steps.

    Raises:
        SettingsError: diffusers is not installed.
    """
    return _diffusers().DDPMScheduler(noise_steps, beta_schedule="squaredcos_cap_v2")


@torch.no_grad()
def sample_videos(
    predict: Callable[[Tensor, Tensor, Tensor], Tensor],
    photograph: Tensor,
    seeds: Sequence[int],
    sampler: Sampler,
    shape: DiffusionShape,
) -> Tensor:
    """Make videos from noise.

    All random numbers are drawn on the CPU from a stream of each photograph, so that a video depends neither on its
    batch nor on the device.

    Args:
        predict: `DenoisingNetwork.forward`.
        photograph: (n, 3, h, w) in [−1, 1].
        seeds: A seed of each photograph.
        sampler: Kind and number of steps.
        shape: Of the network.

    Returns:
        float32 (n, 12, h, w) in [−1, 1].
    """
    scheduler = _sampling_scheduler(sampler, shape)
    streams = [torch.Generator().manual_seed(seed) for seed in seeds]
    size = (FRAMES, *photograph.shape[2:])
    video = torch.stack([torch.randn(size, generator=stream) for stream in streams]).to(photograph.device)
    options: dict[str, Any] = {"use_clipped_model_output": True} if sampler.kind == "ddim" else {}
    if sampler.kind == "ddpm":
        options["generator"] = streams
    for step in scheduler.timesteps:
        predicted = predict(video, photograph, step.to(photograph.device).expand(len(video)))
        video = scheduler.step(predicted.float(), step, video, return_dict=False, **options)[0]
    return video.clamp(-1, 1)


class DiffusionGenerator(VideoNetwork):
    """A denoising network with its sampler.

    Args:
        spec: Of family `med-ddpm`; its `weights` are `untrained` or a file of `f2vbench train model=med-ddpm`.

    Raises:
        SettingsError: diffusers is not installed, or the sampler does not fit the training.
        WeightsError: The file is missing, damaged, or contains another network.
    """

    def __init__(self, spec: ModelSpec):
        path, shape, side, without_shading = spec.weights_file, DiffusionShape(), _UNTRAINED_SIDE, False
        if path is not None:
            values, side, without_shading = read_network_metadata(path, "diffusion", spec.family)
            try:
                shape = DiffusionShape.from_metadata(values)
            except (TypeError, ValueError) as error:
                raise WeightsError(
                    f"{path}: the shape in its metadata is damaged ({error}); export it again"
                ) from error
        super().__init__(spec, side, without_shading)
        self.sampler = parse_sampler(spec.sampler or DEFAULT_SAMPLER, shape.noise_steps, f"model={spec.name}, sampler")
        self.network = denoising_network(shape)
        if path is not None:
            match_state_dict(self.network, read_state_dict(path), path)

    def sample(self, photographs: Tensor, seeds: Sequence[int]) -> Tensor:
        """Videos of photographs; see `VideoNetwork.sample`."""
        return sample_videos(self.network, photographs, seeds, self.sampler, self.network.shape)

    def describe(self) -> dict[str, Any]:
        """As `Encoder.describe`, with the sampler and its number of steps."""
        return super().describe() | {"sampler": self.sampler.kind, "sampler_steps": self.sampler.steps}


def _diffusers() -> Any:
    """The package diffusers.

    Raises:
        SettingsError: It is not installed.
    """
    FAMILIES["med-ddpm"].check_libraries("model=med-ddpm")
    allow_missing_torchvision_ops()
    import diffusers

    return diffusers


def _unet(shape: DiffusionShape) -> nn.Module:
    levels, library = len(shape.channels), _diffusers()
    common = {
        "block_out_channels": shape.channels,
        "layers_per_block": shape.layers,
        "norm_num_groups": _NORM_GROUPS,
        "attention_head_dim": _HEAD_CHANNELS,
    }
    if shape.network == "3d":
        network = library.UNet3DConditionModel(
            in_channels=4,
            out_channels=1,
            down_block_types=("DownBlock3D",) * levels,
            up_block_types=("UpBlock3D",) * levels,
            cross_attention_dim=_TEXT_CHANNELS,
            **common,
        )
        return cast(nn.Module, network)
    plain = levels - 1
    network = library.UNet2DModel(
        in_channels=FRAMES + 3,
        out_channels=FRAMES,
        down_block_types=("DownBlock2D",) * plain + ("AttnDownBlock2D",),
        up_block_types=("AttnUpBlock2D",) + ("UpBlock2D",) * plain,
        **common,
    )
    return cast(nn.Module, network)


def _sampling_scheduler(sampler: Sampler, shape: DiffusionShape) -> Any:
    """The scheduler of diffusers, with its steps set.

    The steps of DDIM are `trailing`: the first is the last noise step of the training, where a video is noise alone.
    """
    library = _diffusers()
    schedule = {
        "num_train_timesteps": shape.noise_steps,
        "beta_schedule": "squaredcos_cap_v2",
        "prediction_type": _PREDICTION_TYPES[shape.prediction],
    }
    if sampler.kind == "ddim":
        scheduler = library.DDIMScheduler(**schedule, timestep_spacing="trailing")
    elif sampler.kind == "dpm-solver":
        scheduler = library.DPMSolverMultistepScheduler(**schedule, lambda_min_clipped=_LOWEST_LOG_SNR)
    else:
        scheduler = library.DDPMScheduler(**schedule)
    try:
        scheduler.set_timesteps(sampler.steps)
    except ValueError as error:
        raise SettingsError(f"sampler {sampler.kind} with {sampler.steps} steps: {error}") from error
    return scheduler
