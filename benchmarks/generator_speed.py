"""Optimiser steps a second of the trainer and of a plain, eager float32 implementation of the same losses.

    python -m benchmarks.generator_speed [--preset mini] [--side 128] [--ngf 16] [--steps 6] [--device cpu]

The plain implementation computes loss after loss, as is common: the discriminators process generated and true frames
once for their own loss and again for the generator's, whole and masked frames one after the other; each PatchNCE loss
encodes its own images; Adam is not fused, and memory is contiguous. Both train on the same windows of one simulated
eye, in alternation, so that other load on the machine affects both. Memory is the peak of the process on a GPU, and
the peak of a new process for each implementation on a CPU.
Requirements: 2 times as many steps a second on a GPU (512 × 512, ngf 64), 1.3 times on a CPU.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch import Tensor

from f2vbench.encoders.global_generator import window_input
from f2vbench.training import losses
from f2vbench.training.data.video_loader import VideoBatch, VideoLoader
from f2vbench.training.frame_windows import window_target
from f2vbench.training.generator_features import attention_layer, forward_layers
from f2vbench.training.generator_step import GeneratorStep
from f2vbench.training.patch_nce import PatchSampler, patch_nce_losses
from f2vbench.training.settings import TrainSettings
from f2vbench.training.train import open_training_data
from f2vbench.training.trained_networks import GeneratorNetworks
from f2vbench.utils.device import arithmetic

REQUIRED_RATIO = {"cpu": 1.3, "cuda": 2.0}


class PlainStep:
    """The losses of a preset, computed one after the other, for the same networks and windows."""

    def __init__(self, settings: TrainSettings, device: torch.device):
        self.settings, self.device = settings, device
        self.networks = GeneratorNetworks(settings, device)
        networks = [self.networks.generator, self.networks.discriminator, self.networks.heads]
        for network in filter(None, networks):
            network.to(memory_format=torch.contiguous_format)
        rate, betas = settings.learning_rate, (settings.beta1, settings.beta2)
        self.optimisers = [
            torch.optim.Adam(network.parameters(), rate, betas, foreach=False) for network in networks if network
        ]

    def __call__(self, batch: VideoBatch) -> None:
        batch = batch.to(self.device)
        previous: Tensor | None = None
        for window in range(self.settings.windows):
            real = window_target(batch.frames, [window] * len(batch.indices))
            inputs = window_input(batch.photograph, previous, window, self.networks.generator.shape)
            previous = self._window(inputs, real, batch, window)

    def _window(self, inputs: Tensor, real: Tensor, batch: VideoBatch, window: int) -> Tensor:
        weights, networks = self.settings.loss, self.networks
        discriminator, mask = networks.discriminator, batch.mask
        views: list[float | Tensor] = [1.0, mask] if weights.masked_discriminators else [1.0]
        for optimiser in self.optimisers:
            optimiser.zero_grad()
        attention = attention_layer(networks.generator.shape, weights.attention_layer)
        fake, maps = forward_layers(networks.generator, inputs, (attention,))
        discriminator_loss = torch.zeros((), device=self.device)
        for view in views:
            fake_maps = discriminator(torch.cat([batch.photograph, fake.detach() * view], 1))
            real_maps = discriminator(torch.cat([batch.photograph, real * view], 1))
            discriminator_loss = discriminator_loss + losses.lsgan_discriminator_loss(fake_maps, real_maps)
        discriminator_loss.backward()
        self.optimisers[1].step()
        total = torch.zeros((), device=self.device)
        for view in views:
            fake_maps = discriminator(torch.cat([batch.photograph, fake * view], 1))
            real_maps = discriminator(torch.cat([batch.photograph, real * view], 1))
            total = total + weights.gan * losses.lsgan_generator_loss(fake_maps)
            total = total + weights.feature_matching * losses.feature_matching_loss(fake_maps, real_maps)
        total = total + weights.attention * losses.attention_loss(maps[attention], mask, weights.attention_variant)
        sampler = PatchSampler(mask if weights.nce_patches == "in-mask" else None)
        multiply = mask if weights.nce_patches == "masked-input" else None
        for weight, key in ((weights.nce_photograph, batch.photograph), (weights.nce_truth, real)):
            rngs = [np.random.default_rng([window, index]) for index in batch.indices]
            (nce,) = patch_nce_losses(networks.generator, networks.heads, fake, [key], sampler, rngs, multiply)
            total = total + weight * nce
        total = total + weights.gradient_variance * losses.gradient_variance_loss(fake, real)
        total = total + weights.pixel * losses.pixel_loss(fake, real, batch.fov_mask)
        weight = losses.pixel_weights(batch.fov_mask, batch.truth, weights.vessel_weight, weights.lesion_weight)
        total = total + weights.squared * losses.squared_loss(fake, real, weight)
        total = total + weights.gradient * losses.gradient_loss(fake, real, weight)
        total.backward()
        self.optimisers[0].step()
        self.optimisers[2].step()
        networks.update_average()
        return fake.detach()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="mini", choices=("mini", "f2v"))
    parser.add_argument("--side", type=int, default=128, help="side of the crops, pixels")
    parser.add_argument("--ngf", type=int, default=16)
    parser.add_argument("--steps", type=int, default=6, help="optimiser steps in a repetition: 1, 2, 3, 4, 6 or 12")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--memory-of", choices=("plain", "trainer"), help="run one repetition and print the peak memory, MiB"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(arguments.device)
    values = {"preset": arguments.preset, "crop": arguments.side, "ngf": arguments.ngf, "windows": arguments.steps}
    values |= {"eyes": 8, "renew": 1, "pixel_epochs": 0, "rollout_epochs": 0, "previous_dropped": 0, "batch_size": 8}
    settings = TrainSettings.model_validate(values | {"loss": {"truth": 0}})
    batch = next(iter(VideoLoader(open_training_data(settings).train, settings.mask).load([list(range(8))])))
    implementations = {"plain": PlainStep, "trainer": _trainer_step}
    if arguments.memory_of:
        implementations[arguments.memory_of](settings, device)(batch)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
        return 0
    steps = {name: implementation(settings, device) for name, implementation in implementations.items()}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for repetition in range(arguments.repetitions + 1):
        for name, step in steps.items():
            elapsed = _timed(step, batch, device)
            if repetition:  # the first one warms up
                seconds[name].append(elapsed / arguments.steps)
    rates = {name: 1 / float(np.median(each)) for name, each in seconds.items()}
    ratio, required = rates["trainer"] / rates["plain"], REQUIRED_RATIO[device.type]
    size = f"{arguments.side} × {arguments.side}, ngf {arguments.ngf}"
    print(f"{arguments.preset}, {size}, {device}, {torch.get_num_threads()} thread(s)")
    for name, rate in rates.items():
        print(f"{name:<9}{rate:7.2f} steps a second, {_peak_memory(name, device)} MiB at most")
    print(f"ratio {ratio:.2f}; required {required}: {'met' if ratio >= required else 'not met'}")
    return 0 if ratio >= required else 1


def _trainer_step(settings: TrainSettings, device: torch.device) -> Callable[[VideoBatch], object]:
    bf16 = arithmetic(settings.precision, device) == "bf16"
    step = GeneratorStep(settings, GeneratorNetworks(settings, device), device, bf16)
    return lambda batch: step(batch, 0, 0, 0.0)


def _timed(step: Callable[[VideoBatch], object], batch: VideoBatch, device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    step(batch)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def _peak_memory(name: str, device: torch.device) -> str:
    """Peak MiB of a new process that runs one repetition of an implementation."""
    if device.type == "cuda":
        return f"{torch.cuda.max_memory_allocated() / 2**20:.0f} (both implementations)"
    done = subprocess.run([sys.executable, *sys.argv, "--memory-of", name], capture_output=True, text=True, check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
