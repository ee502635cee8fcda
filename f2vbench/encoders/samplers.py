"""Samplers of diffusion models: which scheduler of diffusers makes a video from noise, and in how many steps.

Importing this module imports neither torch nor diffusers.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from f2vbench.errors import SettingsError, WeightsError
from f2vbench.pretrained.checkpoints import read_metadata

Prediction = Literal["noise", "frames"]
"""What the network of a diffusion model predicts."""

DEFAULT_SAMPLER = "ddim-50"
"""Sampler of weights that name none."""

SAMPLER_PATTERN = r"ddpm|(ddim|dpm-solver)-[1-9]\d*"
"""Regular expression of a sampler's name."""

_DESCRIPTION = "ddpm (as many steps as in training), ddim-<steps> or dpm-solver-<steps>, such as ddim-50"


@dataclass(frozen=True)
class DiffusionNotes:
    """What the metadata of a weights file say about sampling.

    Attributes:
        sampler: The default sampler.
        noise_steps: Noise steps of the training.
    """

    sampler: str
    noise_steps: int


@dataclass(frozen=True)
class Sampler:
    """A sampler of a model that is trained with a number of noise steps.

    Attributes:
        kind: `ddpm`, ancestral sampling (Ho et al. 2020); `ddim`, deterministic (Song et al. 2021); `dpm-solver`,
            DPM-Solver++ of second order (Lu et al. 2022).
        steps: Evaluations of the network for a video.
    """

    kind: str
    steps: int


def is_sampler(name: str) -> bool:
    """Whether a name has the form of a sampler.

    Examples:
        >>> is_sampler("ddim-50"), is_sampler("levels")
        (True, False)
    """
    return re.fullmatch(SAMPLER_PATTERN, name) is not None


def parse_sampler(name: str, noise_steps: int, key: str = "sampler") -> Sampler:
    """The sampler that a name means.

    Args:
        name: `ddpm`, `ddim-<steps>` or `dpm-solver-<steps>`.
        noise_steps: Noise steps of the training.
        key: The setting or argument, for messages.

    Raises:
        SettingsError: There is no such sampler, or its number of steps does not fit.

    Examples:
        >>> parse_sampler("dpm-solver-25", 250)
        Sampler(kind='dpm-solver', steps=25)
    """
    if not is_sampler(name):
        raise SettingsError(f"{key}={name}: samplers are {_DESCRIPTION}")
    kind, _, steps = name.rpartition("-")
    sampler = Sampler(kind, int(steps)) if kind else Sampler(name, noise_steps)
    if sampler.steps > noise_steps:
        raise SettingsError(f"{key}={name}: the training has {noise_steps} noise steps; use at most as many")
    if sampler.kind == "ddim" and noise_steps % sampler.steps:
        # The DDIMScheduler of diffusers has t − noise_steps // steps before t, whatever its list of steps is.
        divisors = [str(steps) for steps in range(1, noise_steps + 1) if noise_steps % steps == 0]
        raise SettingsError(
            f"{key}={name}: the steps of ddim must divide the {noise_steps} noise steps of the training: "
            f"{', '.join(divisors)}"
        )
    return sampler


def read_diffusion_notes(path: Path) -> DiffusionNotes:
    """Sampler and noise steps in the metadata of weights that `f2vbench train model=med-ddpm` wrote.

    Raises:
        WeightsError: The file is missing or damaged, or contains no diffusion model.
    """
    try:
        notes = json.loads(read_metadata(path).get("seen", "{}"))
        found = DiffusionNotes(str(notes["sampler"]), int(json.loads(notes["diffusion"])["noise_steps"]))
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"{path}: no weights of med-ddpm, which f2vbench train model=med-ddpm writes with noise steps and sampler "
            f"in the metadata ({type(error).__name__}: {error}); name the model that these weights belong to"
        ) from error
    if not is_sampler(found.sampler):
        raise WeightsError(f"{path}: sampler={found.sampler} in its metadata is no sampler: export it again")
    return found
