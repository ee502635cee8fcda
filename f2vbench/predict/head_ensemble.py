"""The stored heads of one condition, which differ in their seed, and their joint prediction with its uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame

from f2vbench.adapters.stored_head import HeadFacts, StoredHead, read_head
from f2vbench.data.label_classes import SEPARATOR
from f2vbench.errors import StoreError
from f2vbench.utils.progress import Progress, Silent
from f2vbench.utils.text import plural

Floats = NDArray[np.float64]

NOT_CLINICAL = "Not for clinical use."
"""Sentence that is printed with every prediction."""

_SUFFIX = ".safetensors"
_SAME = ("family", "task", "modality", "protocol", "shots", "outputs", "multi_label", "method", "horizon", "encoder")


@dataclass(frozen=True)
class Predictions:
    """Predictions of n images.

    Attributes:
        facts: Facts about the first head.
        heads: Number of heads.
        mean: (n, outputs), the mean over the heads.
        spread: (n, outputs), the standard deviation over the heads; None with one head.
    """

    facts: HeadFacts
    heads: int
    mean: Floats
    spread: Floats | None

    @property
    def classes(self) -> list[str]:
        """For each image its class, or its classes with a mean probability of 0.5 and above; "" for other families."""
        names = np.array(self.facts.outputs)
        if self.facts.family != "classification":
            return [""] * len(self.mean)
        if self.facts.multi_label:
            return [SEPARATOR.join(names[row >= 0.5]) for row in self.mean]
        return [str(names[row.argmax()]) for row in self.mean]

    @property
    def entropy(self) -> Floats | None:
        """Predictive entropy in bits, that of the mean probabilities: 0 for a certain class, 1 for two equal ones.

        Returns:
            (n,), or (n, classes) where an image can have several; None for numbers.
        """
        if self.facts.family != "classification":
            return None
        if self.facts.multi_label:
            return _bits(self.mean) + _bits(1 - self.mean)
        entropy: Floats = _bits(self.mean).sum(axis=1)
        return entropy

    def table(self) -> DataFrame:
        """The predictions as a table, one row for each image.

        Columns of classification are `prediction`, `probability:<class>`, `sd:<class>` (missing with one head) and
        `entropy` (`entropy:<class>` where an image can have several); of regression `value` and `sd`; of survival
        `risk` and `sd`.
        """
        names = list(self.facts.outputs)
        if self.facts.family != "classification":
            columns = {names[0]: self.mean[:, 0]}
            return DataFrame(columns if self.spread is None else {**columns, "sd": self.spread[:, 0]})
        table = DataFrame({"prediction": self.classes})
        for column, name in enumerate(names):
            table[f"probability:{name}"] = self.mean[:, column]
        for column, name in enumerate(names if self.spread is not None else []):
            table[f"sd:{name}"] = self.spread[:, column]  # type: ignore[index]
        entropy = self.entropy
        if entropy is not None and entropy.ndim == 2:
            return table.assign(**{f"entropy:{name}": entropy[:, column] for column, name in enumerate(names)})
        return table.assign(entropy=entropy)


@dataclass(frozen=True)
class HeadEnsemble:
    """The stored heads of one condition.

    Attributes:
        heads: One head for each seed.
    """

    heads: tuple[StoredHead, ...]

    @property
    def facts(self) -> HeadFacts:
        """Facts about the first head; the others differ in their seed alone."""
        return self.heads[0].facts

    @property
    def title(self) -> str:
        """Task, encoder, condition and number of heads in words."""
        facts = self.facts
        per_class = " per class" if facts.family == "classification" else ""
        support = "" if facts.shots is None else f", {plural(facts.shots, 'support image')}{per_class}"
        return f"{facts.task} · {facts.encoder} · {facts.protocol}{support} · {plural(len(self.heads), 'head')}"

    @property
    def output_text(self) -> str:
        """What the outputs are, in words."""
        unit = f" {self.facts.unit_of_numbers}" if self.facts.unit_of_numbers else ""
        if self.facts.family == "classification":
            return "probability of each class"
        if self.facts.family == "regression":
            return f"value in{unit}" if unit else "value"
        return f"risk of the event within {self.facts.horizon:g}{unit}"

    def predict_embeddings(self, embeddings: NDArray[np.float32]) -> Predictions:
        """Predict from embeddings of the heads' encoder.

        Args:
            embeddings: (n, width).

        Raises:
            StoreError: The embeddings have another width, or a head can't be fitted again.
        """
        outputs = np.stack([head.predict(embeddings) for head in self.heads])
        spread = outputs.std(axis=0, ddof=1) if len(outputs) > 1 else None
        return Predictions(self.facts, len(outputs), outputs.mean(axis=0), spread)

    def predict(
        self,
        images: str | Path,
        device: str = "auto",
        jobs: int | Literal["auto"] = "auto",
        progress: Progress | None = None,
    ) -> DataFrame:
        """Predict the photographs of a folder; not for clinical use.

        Args:
            images: Folder, searched in all its folders, or one photograph.
            device: Device of the encoder.
            jobs: Number of worker processes that encode photographs.
            progress: Receives the progress of reading and encoding.

        Returns:
            One row for each readable photograph: `image`, its path in the folder, and the columns of
            `Predictions.table`.

        Raises:
            DataError: No photograph is readable.
            StoreError: The encoder's weights are not those of the heads.
            WeightsError: The encoder's weights are missing.
        """
        from f2vbench.predict.predict import predict_images

        return predict_images(self, Path(images), device=device, jobs=jobs, progress=progress or Silent()).table


def load_head(path: str | Path | Sequence[str | Path]) -> HeadEnsemble:
    """Load stored heads of one condition.

    Args:
        path: Folder ``runs/<run>/heads/<condition>``, or one or several of its files.

    Raises:
        StoreError: There is no head, a file is damaged, or the heads are of several conditions.
    """
    paths = [Path(path)] if isinstance(path, str | Path) else [Path(each) for each in path]
    files = [file for each in paths for file in _files(each.expanduser())]
    heads = sorted((read_head(file) for file in dict.fromkeys(files)), key=lambda head: head.facts.seed)
    first = heads[0].facts
    for head in heads[1:]:
        different = [name for name in _SAME if getattr(head.facts, name) != getattr(first, name)]
        if head.facts.weights_sha256 != first.weights_sha256:
            different.append("weights of the encoder")
        if different:
            raise StoreError(
                f"{head.path}: it differs from {heads[0].path} in {', '.join(different)}, and their mean has no "
                "meaning; load the heads of one condition"
            )
    seeds = [head.facts.seed for head in heads]
    if len(set(seeds)) < len(seeds):
        raise StoreError(f"{', '.join(map(str, paths))}: two heads have the same seed; load one file for each seed")
    return HeadEnsemble(tuple(heads))


def _files(path: Path) -> list[Path]:
    """Files of heads at a path."""
    if not path.is_dir():
        return [path]
    files = sorted(path.glob(f"*{_SUFFIX}"))
    if files:
        return files
    root = path / "heads" if (path / "heads").is_dir() else path
    conditions = sorted({file.parent for file in root.glob(f"*/*{_SUFFIX}")})
    if len(conditions) == 1:
        return sorted(conditions[0].glob(f"*{_SUFFIX}"))
    if conditions:
        raise StoreError(f"{path}: has heads of several conditions; choose one: {', '.join(map(str, conditions))}")
    raise StoreError(f"{path}: has no stored heads; f2vbench run keep_heads=yes stores them in its run folder")


def _bits(p: Floats) -> Floats:
    """−p log2 p, with 0 for p = 0."""
    inside = np.clip(p, np.finfo(float).tiny, 1)
    bits: Floats = -p * np.log2(inside)
    return np.maximum(bits, 0)
