"""Opening a training data set: cases are found and checked, or eyes are simulated, and split by patient."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from f2vbench.data.case_table import PhaseReading, read_table
from f2vbench.data.cases import PHASES, TABLE, FoundCases, drop_incomplete_cases, read_folder
from f2vbench.data.patient_names import patient_and_eye
from f2vbench.data.patient_spelling import normalised_patients, spelling_sentence
from f2vbench.data.task_cards import NORMALISE
from f2vbench.errors import DataError, SettingsError, did_you_mean
from f2vbench.training.data.angiogram_dataset import AngiogramDataset
from f2vbench.training.data.case_split import SPLITS, Split, split_patients
from f2vbench.training.data.image_checks import check_images
from f2vbench.training.data.image_sources import CaseFiles, ImageSource, PhantomEyes
from f2vbench.training.data.options import ImageOptions, SamplingOptions, SimulationOptions, SplitShares
from f2vbench.utils.progress import Progress, Silent

PHANTOM = "phantom"
"""The value of ``data`` for simulated eyes."""

_EVALUATION_CACHE = 64  # eyes of validation and test that stay in memory in each process: 4 MB an eye at 512 pixels

Sources = dict[Split, ImageSource]


@dataclass(frozen=True)
class DatasetSplits:
    """The three splits of a data set.

    Attributes:
        train: Augmented; new views, and new simulated eyes, in each epoch.
        validation: Always the same whole fields of view, not augmented; may be empty.
        test: As ``validation``.
        notes: A line for each decision about the data, such as cases left out.
    """

    train: AngiogramDataset
    validation: AngiogramDataset
    test: AngiogramDataset
    notes: tuple[str, ...]
    _epoch: Tensor

    def identity(self) -> dict[str, Any]:
        """What determines the eyes of each split, JSON-serialisable; two data sets are equal if this is equal."""
        datasets = zip(SPLITS, (self.train, self.validation, self.test), strict=True)
        return {split: dataset.source.identity() for split, dataset in datasets}

    def set_epoch(self, epoch: int) -> None:
        """Select the views of an epoch of ``train``, in loader processes too; call it before each epoch."""
        self._epoch.fill_(epoch)


def open_dataset(
    data: str | Path,
    images: ImageOptions,
    *,
    seed: int = 0,
    sampling: SamplingOptions | None = None,
    shares: SplitShares | None = None,
    simulation: SimulationOptions | None = None,
    normalise_patients: bool = False,
    progress: Progress | None = None,
) -> DatasetSplits:
    """Open a data set for training.

    Args:
        data: A CSV table (`f2vbench.data.case_table`), a folder of cases (`f2vbench.data.cases`), a folder with a
            table ``video.csv``, or ``"phantom"`` for simulated eyes, which are generated on access.
        images: Size, crops and augmentation.
        seed: Of the split, the frame selection, the augmentation and the simulated training eyes.
        sampling: The frames of a sample.
        shares: Shares of validation and test.
        simulation: Number of simulated eyes.
        normalise_patients: Merge patients whose names differ only in spelling (`f2vbench.data.patient_spelling`).
        progress: Receives the progress of the image checks.

    Raises:
        DataError: There is no data, or it is unusable. The first ten problems of a kind are listed.
        SettingsError: Options are out of range; all of them are listed.
    """
    sampling, shares = sampling or SamplingOptions(), shares or SplitShares()
    simulation = simulation or SimulationOptions()
    problems = [*sampling.problems(), *images.problems(), *shares.problems(), *simulation.problems()]
    if seed < 0:
        problems.append(f"seed={seed}: must be 0 or more")
    if problems:
        raise SettingsError(problems)
    photographs_only = sampling.photographs_only
    size = images.loaded_size(photographs_only)
    cached_training_eyes = 0
    if str(data) == PHANTOM:
        sources, notes = _simulated_sources(simulation, shares, sampling.per_phase, size, seed)
        cached_training_eyes = simulation.eyes if simulation.renew > 1 else 0
    else:
        found = _with_patient_spelling(_find_cases(Path(data), sampling.phases), normalise_patients)
        if photographs_only:
            found = replace(found, cases=tuple(replace(case, frames=(), lesions=None) for case in found.cases))
        found = check_images(found, progress or Silent())
        sources, notes = _file_sources(found, shares, sampling, size, seed)
    epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]  # torch has no type
    first_epoch = torch.zeros((), dtype=torch.int64)
    train = AngiogramDataset(
        sources["train"],
        images.training_view(photographs_only),
        seed=seed,
        epoch=epoch,
        cache_size=cached_training_eyes,
    )
    validation, test = (
        AngiogramDataset(
            sources[split],
            images.evaluation_view(photographs_only),
            seed=seed,
            epoch=first_epoch,
            cache_size=_EVALUATION_CACHE,
        )
        for split in SPLITS[1:]
    )
    return DatasetSplits(train, validation, test, notes, epoch)


def _find_cases(data: Path, phases: PhaseReading) -> FoundCases:
    if data.is_file():
        return read_table(data, phases)
    if not data.is_dir():
        raise DataError(
            f"data={data}: there is no such file or folder; use a CSV table, a folder of cases, or {PHANTOM}"
            f"{did_you_mean(str(data), [PHANTOM])}"
        )
    return read_table(data / TABLE, phases) if (data / TABLE).is_file() else read_folder(data)


def _with_patient_spelling(found: FoundCases, normalise: bool) -> FoundCases:
    """The cases with normalised patients, or only a note on patients whose names differ in spelling."""
    eyes = [(patient_and_eye(case.name) or ("", ""))[1] for case in found.cases]
    names = normalised_patients((case.patient, eye) for case, eye in zip(found.cases, eyes, strict=True))
    persons = {name: person for name, (person, _) in names.items()}
    sentence = spelling_sentence(persons, merged=normalise, remedy=f"patients={NORMALISE}")
    notes = (*found.notes, sentence) if sentence else found.notes
    cases = tuple(replace(case, patient=persons[case.patient]) for case in found.cases) if normalise else found.cases
    return FoundCases(cases, notes)


def _file_sources(
    found: FoundCases, shares: SplitShares, sampling: SamplingOptions, size: int, seed: int
) -> tuple[Sources, tuple[str, ...]]:
    """The cases of each split, and notes about them."""
    phases: tuple[str, ...] = PHASES
    per_phase = sampling.per_phase
    if not sampling.photographs_only:
        if sampling.phases == "released":
            present = {frame.phase for case in found.cases for frame in case.frames}
            phases = tuple(phase for phase in PHASES if phase in present)
            per_phase = sampling.frames // len(phases)
        found = drop_incomplete_cases(found, per_phase, sampling.minimum_frames, phases)
        if len(phases) < len(PHASES):
            found = replace(found, notes=(*found.notes, f"videos have {per_phase} {' and '.join(phases)} frames each"))
    split_of = split_patients((case.patient for case in found.cases), shares.validation, shares.test, seed)
    sources: Sources = {}
    sizes = []
    for split in SPLITS:
        cases = [case for case in found.cases if split_of[case.patient] == split]
        frame_sampling = sampling.training if split == "train" else "uniform"
        sources[split] = CaseFiles(cases, per_phase, size, frame_sampling, phases)
        sizes.append(f"{split} {len(cases)} cases of {len({case.patient for case in cases})} patients")
    return sources, (*found.notes, f"split by patient: {', '.join(sizes)}")


def _simulated_sources(
    simulation: SimulationOptions, shares: SplitShares, per_phase: int, size: int, seed: int
) -> tuple[Sources, tuple[str, ...]]:
    """The simulated eyes of each split, and a note about them."""
    eyes, renew = simulation.eyes, simulation.renew
    validation, test = (max(1, round(share * eyes)) if share > 0 else 0 for share in (shares.validation, shares.test))
    counts: dict[Split, int] = {"train": eyes, "validation": validation, "test": test}
    sources: Sources = {
        split: PhantomEyes(split, count, seed, per_phase, size, renew, simulation.noise)
        for split, count in counts.items()
    }
    frequency = "in each epoch" if renew == 1 else f"every {renew} epochs"
    frames = "" if simulation.noise else " with noise-free frames"
    return sources, (
        f"simulated eyes: {eyes} new ones {frequency}{frames}; {validation} for validation and {test} for test, always "
        "the same, from cameras that are not used in training",
    )
