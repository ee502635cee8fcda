"""A data set to train on: cases found and checked, or eyes simulated, and split by patient."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from f2vbench.data.case_table import read_table
from f2vbench.data.cases import PHASES, TABLE, FoundCases, drop_incomplete_cases, read_folder
from f2vbench.errors import DataError, SettingsError, did_you_mean
from f2vbench.training.data.augmentation import AUGMENTATIONS, Augmentation
from f2vbench.training.data.case_images import check_images
from f2vbench.training.data.case_split import PARTS, Part, split_patients
from f2vbench.training.data.samples import AngiogramDataset, Sample, SampleBatch, collate
from f2vbench.training.data.sources import SAMPLINGS, FileEyes, PhantomEyes, Sampling, Source
from f2vbench.utils.progress import Progress, Silent

__all__ = ["PHANTOM", "AngiogramDataset", "CaseSet", "Sample", "SampleBatch", "collate", "open_cases"]

PHANTOM = "phantom"
"""The word for ``data`` that asks for simulated eyes."""

_SHARPER = 1.5  # photographs alone are kept at this times their size, so that enlarged crops of them are not blurred
_KEPT = 64  # eyes of the fixed parts that stay in memory, in each process: 4 MB an eye at 512 px


@dataclass(frozen=True)
class CaseSet:
    """The three parts of a data set.

    Attributes:
        train: augmented, new views (and, of phantoms, new eyes) each epoch.
        validation, test: always the same, not augmented, whole fields of view; may be empty.
        notes: a line for everything that was left out, added or decided on the way.
    """

    train: AngiogramDataset
    validation: AngiogramDataset
    test: AngiogramDataset
    notes: tuple[str, ...]
    _epoch: Tensor

    def identity(self) -> dict[str, Any]:
        """What decides the eyes of each part, JSON-able: for cards, and to know the same data set again."""
        parts = zip(PARTS, (self.train, self.validation, self.test), strict=True)
        return {part: dataset.source.identity() for part, dataset in parts}

    def set_epoch(self, epoch: int) -> None:
        """To be called before each pass over ``train``; reaches the workers of its loader too."""
        self._epoch.fill_(epoch)


def open_cases(
    data: str | Path,
    *,
    model_frames: int = 12,
    size: int,
    seed: int,
    validation: float = 0.15,
    test: float = 0.15,
    augment: Augmentation | str = "f2v",
    sampling: Sampling = "uniform",
    minimum_frames: int = 2,
    crop: int | None = None,
    late_crop: tuple[int, int] | None = None,
    enlarge: int = 1,
    normalised: bool = False,
    eyes: int = 200,
    renew: int = 1,
    progress: Progress | None = None,
) -> CaseSet:
    """Open a data set for training.

    Args:
        data: a CSV table (`f2vbench.data.case_table`), a folder of cases (`f2vbench.data.cases`), a folder
            with a table ``video.csv``, or ``"phantom"`` for simulated eyes, made as they are asked for.
        model_frames: frames of a sample, a third of each phase; 0 for photographs alone, of all cases, in views of
            their whole field (or, by ``augment``, of a part of it) brought to ``size``.
        size: side of the square that the field of view is resized to, px.
        seed: of the split, the frame choice, the augmentation and the simulated training eyes.
        validation, test: shares of the patients (of phantoms: of ``eyes``, in addition to them).
        augment: of the training part; a name of `AUGMENTATIONS`, or its own numbers.
        sampling: training frames of a phase: ``uniform`` (evenly spread, as in the foundation-model paper) or
            ``random`` (as in MICCAI 2024; without replacement). Other parts are always uniform.
        minimum_frames: cases with fewer in any phase are left out; where there are enough of these, but fewer than
            the model is shown, the nearest are repeated. The notes tell of both.
        crop: side of random crops to train on, px, at most ``size × enlarge``; None for the whole square.
        late_crop: an epoch (from 0), and the side of the crops from then on.
        enlarge: samples of all parts show the squares enlarged so many times.
        normalised: photographs without their shading (`data.shading_correction`), grey outside the field of view.
        eyes: simulated eyes in an epoch.
        renew: epochs after which new eyes are simulated; above 1 they are kept in memory meanwhile, at 512 px 4 MB
            an eye in each worker.

    Raises:
        DataError: no data there, or data that can't be used; all problems of a kind, the first ten in full.
        SettingsError: arguments out of range.
    """
    shares = (validation, test)
    _check_settings(model_frames, size, enlarge, crop, seed, shares, augment, sampling, minimum_frames, eyes, renew)
    augmentation = (AUGMENTATIONS[augment] if isinstance(augment, str) else augment).enlarged(enlarge)
    unchanged = Augmentation().enlarged(enlarge)
    per_phase = model_frames // len(PHASES)
    side = size
    if not model_frames:
        size = round(_SHARPER * side)
        unchanged = Augmentation(area=(1.0, 1.0))
        augmentation = replace(augmentation, area=augmentation.area or unchanged.area)
    sources: dict[Part, Source]
    kept = 0
    if str(data) == PHANTOM:
        kept = eyes if renew > 1 else 0
        sources, notes = _phantom_parts(per_phase, size, seed, shares, eyes, renew)
    else:
        listed = _find(Path(data))
        if not model_frames:
            listed = replace(listed, cases=tuple(replace(case, frames=(), lesions=None) for case in listed.cases))
        found = check_images(listed, progress or Silent())
        sources, notes = _file_parts(found, per_phase, size, seed, shares, sampling, minimum_frames)
    epoch = torch.zeros((), dtype=torch.int64).share_memory_()
    still = torch.zeros((), dtype=torch.int64)
    train = AngiogramDataset(
        sources["train"],
        side=crop or side * enlarge,
        augmentation=augmentation,
        seed=seed,
        epoch=epoch,
        keep=kept,
        late=late_crop,
        normalised=normalised,
    )
    held_out = [
        AngiogramDataset(
            sources[part],
            side=side * enlarge,
            augmentation=unchanged,
            seed=seed,
            epoch=still,
            keep=_KEPT,
            normalised=normalised,
        )
        for part in ("validation", "test")
    ]
    return CaseSet(train, held_out[0], held_out[1], notes, epoch)


def _find(data: Path) -> FoundCases:
    if data.is_file():
        return read_table(data)
    if not data.is_dir():
        raise DataError(
            f"data={data}: there is no such file or folder; give a CSV table, a folder of cases, or {PHANTOM}"
            f"{did_you_mean(str(data), [PHANTOM])}"
        )
    return read_table(data / TABLE) if (data / TABLE).is_file() else read_folder(data)


def _file_parts(
    found: FoundCases,
    per_phase: int,
    size: int,
    seed: int,
    shares: tuple[float, float],
    sampling: Sampling,
    minimum_frames: int,
) -> tuple[dict[Part, Source], tuple[str, ...]]:
    if per_phase:
        found = drop_incomplete_cases(found, per_phase, minimum_frames)
    part_of = split_patients((case.patient for case in found.cases), *shares, seed)
    sources: dict[Part, Source] = {}
    told = []
    for part in PARTS:
        cases = [case for case in found.cases if part_of[case.patient] == part]
        sources[part] = FileEyes(cases, per_phase, size, sampling if part == "train" else "uniform")
        told.append(f"{part} {len(cases)} cases of {len({case.patient for case in cases})} patients")
    return sources, (*found.notes, f"split by patient: {', '.join(told)}")


def _phantom_parts(
    per_phase: int, size: int, seed: int, shares: tuple[float, float], eyes: int, renew: int
) -> tuple[dict[Part, Source], tuple[str, ...]]:
    validation, test = (max(1, round(share * eyes)) if share > 0 else 0 for share in shares)
    counts: dict[Part, int] = {"train": eyes, "validation": validation, "test": test}
    sources: dict[Part, Source] = {
        part: PhantomEyes(part, count, seed, per_phase, size, renew) for part, count in counts.items()
    }
    often = "in each epoch" if renew == 1 else f"every {renew} epochs"
    return sources, (
        f"simulated eyes: {eyes} new ones {often}; {validation} for validation and {test} for test, always the "
        "same, from cameras that training does not see",
    )


def _check_settings(
    model_frames: int,
    size: int,
    enlarge: int,
    crop: int | None,
    seed: int,
    shares: tuple[float, float],
    augment: Augmentation | str,
    sampling: str,
    minimum_frames: int,
    eyes: int,
    renew: int,
) -> None:
    problems = []
    if model_frames < 0 or model_frames % len(PHASES):
        problems.append(f"model_frames={model_frames}: must be a multiple of {len(PHASES)}, as many of each phase")
    if size < 16:
        problems.append(f"size={size}: at least 16 px")
    if enlarge < 1:
        problems.append(f"enlarge={enlarge}: 1 or more")
    if crop is not None and not 16 <= crop <= size * max(enlarge, 1):
        problems.append(f"crop={crop}: 16 px to size={size} times enlarge, or leave it out for the whole field of view")
    if seed < 0:
        problems.append(f"seed={seed}: must be 0 or above")
    if min(shares) < 0 or sum(shares) >= 1:
        problems.append(
            f"validation={shares[0]}, test={shares[1]}: shares of the patients, 0 or above and together below 1"
        )
    if isinstance(augment, str) and augment not in AUGMENTATIONS:
        problems.append(
            f"augment={augment}: must be one of {', '.join(AUGMENTATIONS)}{did_you_mean(augment, AUGMENTATIONS)}"
        )
    if sampling not in SAMPLINGS:
        problems.append(
            f"sampling={sampling}: must be one of {', '.join(SAMPLINGS)}{did_you_mean(sampling, SAMPLINGS)}"
        )
    if minimum_frames < 1:
        problems.append(f"minimum_frames={minimum_frames}: at least 1 frame of each phase is needed")
    if eyes < 1:
        problems.append(f"eyes={eyes}: at least one in an epoch")
    if renew < 1:
        problems.append(f"renew={renew}: new eyes come after 1 epoch or more")
    if problems:
        raise SettingsError(problems)
