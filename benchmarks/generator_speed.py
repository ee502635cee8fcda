"""Optimiser steps a second of the trainer against a plain, eager float32 version of the same losses, in one process.

    python -m benchmarks.generator_speed [--preset mini] [--side 256] [--ngf 10] [--steps 6] [--device cpu]

The plain version is written loss by loss, as such trainers usually are: the discriminators see fake and real once
for their own loss and again for the generator's, whole and masked one after the other; each PatchNCE loss encodes its
own images; Adam is not fused, and maps lie in memory channel by channel. Both take the same windows of one simulated
eye, in turns, so that a busy machine slows both. Memory is the peak of the process on a GPU, and what a fresh process
of each side reaches on a CPU.
The bars: 2 times as many steps a second on a GPU (512 × 512, ngf 64), 1.3 times on a CPU.
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

from f2vbench.training import losses
from f2vbench.training.data.batches import VideoBatch, VideoLoader
from f2vbench.training.discriminator import forward_layers
from f2vbench.training.frame_windows import window_input, window_target
from f2vbench.training.generator_step import VideoStep
from f2vbench.training.patch_nce import PatchSampler, patch_nce_losses
from f2vbench.training.settings import TrainSettings
from f2vbench.training.train import open_training_cases
from f2vbench.training.trained_networks import Networks
from f2vbench.utils.device import training_arithmetic

BARS = {"cpu": 1.3, "cuda": 2.0}


class PlainStep:
    """The losses of a preset, computed one after the other; same networks, same windows."""

    def __init__(self, settings: TrainSettings, device: torch.device):
        self.settings, self.device = settings, device
        self.networks = Networks(settings, device)
        named = {"generator": self.networks.generator, "discriminator": self.networks.discriminator}
        named["heads"] = self.networks.heads
        for network in filter(None, named.values()):
            network.to(memory_format=torch.contiguous_format)
        rate, betas = settings.learning_rate, (settings.beta1, settings.beta2)
        self.optimisers = [
            torch.optim.Adam(net.parameters(), rate, betas, foreach=False) for net in named.values() if net
        ]

    def __call__(self, batch: VideoBatch) -> None:
        batch = batch.to(self.device)
        previous: Tensor | None = None
        for window in range(self.settings.windows):
            real = window_target(batch.frames, window)
            previous = self._window(window_input(batch.photograph, previous), real, batch, window)

    def _window(self, seen: Tensor, real: Tensor, batch: VideoBatch, window: int) -> Tensor:
        weights, networks = self.settings.loss, self.networks
        judge, mask = networks.discriminator, batch.mask
        views: list[float | Tensor] = [1.0, mask] if weights.masked_discriminators else [1.0]
        for optimiser in self.optimisers:
            optimiser.zero_grad()
        fake, kept = forward_layers(networks.generator, seen, (weights.attention_layer,))
        own = torch.zeros((), device=self.device)
        for view in views:
            of_fake = judge(torch.cat([batch.photograph, fake.detach() * view], 1))
            own = own + losses.lsgan_discriminator_loss(of_fake, judge(torch.cat([batch.photograph, real * view], 1)))
        own.backward()
        self.optimisers[1].step()
        total = torch.zeros((), device=self.device)
        for view in views:
            of_fake = judge(torch.cat([batch.photograph, fake * view], 1))
            of_real = judge(torch.cat([batch.photograph, real * view], 1))
            total = total + weights.gan * losses.lsgan_generator_loss(of_fake)
            total = total + weights.feature_matching * losses.feature_matching_loss(of_fake, of_real)
        activation = kept[weights.attention_layer]
        total = total + weights.attention * losses.attention_loss(activation, mask, weights.attention_variant)
        sampler = PatchSampler(mask if weights.nce_patches == "in-mask" else None)
        multiply = mask if weights.nce_patches == "masked-input" else None
        for weight, key in ((weights.nce_photograph, batch.photograph), (weights.nce_truth, real)):
            rngs = [np.random.default_rng([window, index]) for index in batch.indices]
            (nce,) = patch_nce_losses(networks.generator, networks.heads, fake, [key], sampler, rngs, multiply)
            total = total + weight * nce
        total = total + weights.gradient_variance * losses.gradient_variance_loss(fake, real)
        total = total + weights.pixel * losses.pixel_loss(fake, real, batch.inside)
        total = total + weights.squared * losses.squared_loss(fake, real, batch.inside)
        total.backward()
        self.optimisers[0].step()
        self.optimisers[2].step()
        networks.update_average()
        return fake.detach()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="mini", choices=("mini", "f2v"))
    parser.add_argument("--side", type=int, default=256, help="of the crops, px")
    parser.add_argument("--ngf", type=int, default=10)
    parser.add_argument("--steps", type=int, default=6, help="optimiser steps in a turn: 1, 2, 3, 4, 6 or 12")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--memory-of", choices=("plain", "trainer"), help="one turn of one side; prints its peak, MiB")
    words = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(words.device)
    settings = TrainSettings.model_validate(
        {"preset": words.preset, "crop": words.side, "ngf": words.ngf, "windows": words.steps, "eyes": 1, "renew": 1}
        | {"pixel_epochs": 0, "late_epochs": 0}
    )
    batch = next(iter(VideoLoader(open_training_cases(settings).train, settings.mask).load([[0]])))
    sides = {"plain": lambda: _plain(settings, device), "trainer": lambda: _trainer(settings, device)}
    if words.memory_of:
        sides[words.memory_of]()(batch)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
        return 0
    steps = {name: make() for name, make in sides.items()}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(words.turns + 1):
        for name, step in steps.items():
            taken = _timed(step, batch, device)
            if turn:  # the first turn warms up
                seconds[name].append(taken / words.steps)
    rates = {name: 1 / float(np.median(each)) for name, each in seconds.items()}
    ratio, bar = rates["trainer"] / rates["plain"], BARS[device.type]
    print(
        f"{words.preset}, {words.side} × {words.side}, ngf {words.ngf}, {device}, {torch.get_num_threads()} thread(s)"
    )
    for name, rate in rates.items():
        print(f"{name:<9}{rate:7.2f} steps a second, {_memory(name, device)} MiB at most")
    print(f"ratio {ratio:.2f}; the bar is {bar}: {'met' if ratio >= bar else 'not met'}")
    return 0 if ratio >= bar else 1


def _plain(settings: TrainSettings, device: torch.device) -> Callable[[VideoBatch], object]:
    return PlainStep(settings, device)


def _trainer(settings: TrainSettings, device: torch.device) -> Callable[[VideoBatch], object]:
    bf16 = training_arithmetic(settings.precision, device) == "bf16"
    step = VideoStep(settings, Networks(settings, device), device, bf16)
    return lambda batch: step(batch, 0, 0)


def _timed(step: Callable[[VideoBatch], object], batch: VideoBatch, device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    step(batch)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def _memory(side: str, device: torch.device) -> str:
    """Peak MiB of a fresh process that takes one turn of one side."""
    if device.type == "cuda":
        return f"{torch.cuda.max_memory_allocated() / 2**20:.0f} (both sides)"
    done = subprocess.run([sys.executable, *sys.argv, "--memory-of", side], capture_output=True, text=True, check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
