"""Predictions of stored heads for the photographs of a folder, as a table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pandas import DataFrame

from f2vbench.adapters.base import check_finite
from f2vbench.data.index import MODALITIES
from f2vbench.data.index_rows import Row, index_from_rows, safe_id
from f2vbench.errors import DataError
from f2vbench.predict.encoder import find_encoder, library_note, open_encoder
from f2vbench.predict.head_ensemble import NOT_CLINICAL, HeadEnsemble, load_head
from f2vbench.predict.settings import PredictSettings
from f2vbench.runner.embeddings import StoredEmbeddings
from f2vbench.search.image_set import TASK, ImageSet, image_rows, read_file_facts
from f2vbench.search.stored_index import encode_images
from f2vbench.utils.existing_outputs import check_output_file
from f2vbench.utils.files import write_atomically
from f2vbench.utils.progress import Progress
from f2vbench.utils.text import layout, plural

_MAX_LISTED = 3
_MAX_ROWS = 20


@dataclass(frozen=True)
class PredictedImages:
    """Predictions for the photographs of a folder.

    Attributes:
        heads: The heads.
        table: One row for each readable photograph: `image`, and the columns of
            `f2vbench.predict.head_ensemble.Predictions.table`.
        notes: Photographs that are left out, and libraries that have changed.
    """

    heads: HeadEnsemble
    table: DataFrame
    notes: tuple[str, ...]

    def text(self, out: Path) -> str:
        """The first rows and the notes for the terminal.

        Args:
            out: File of the whole table.
        """
        heads, shown = self.heads, self.table.head(_MAX_ROWS)
        title = f"{heads.title}\n{plural(len(self.table), 'photograph')}: {heads.output_text}. {NOT_CLINICAL}"
        rows = [[_cell(value) for value in row] for row in shown.to_numpy()]
        notes = [f"note: {note}" for note in self.notes]
        if len(heads.heads) == 1:
            notes.append("note: one head: sd, the spread over the heads of several seeds, is not known")
        return "\n\n".join([title, layout(list(shown.columns), rows), *notes, f"written: {out}, all rows"])


def predict(settings: PredictSettings, progress: Progress) -> PredictedImages:
    """Predict the photographs of a folder with stored heads, and write the table.

    Args:
        settings: Heads, photographs and output.
        progress: Receives the progress of reading and encoding the photographs.

    Raises:
        DataError: There is no readable photograph.
        StoreError: The heads or their encoder are missing or differ, or ``out`` is a file of others.
        SettingsError: The model argument is not valid.
        WeightsError: The weights of the encoder are missing or damaged.
    """
    check_output_file(settings.out, "out", _is_own)
    heads = load_head(settings.head)
    predicted = predict_images(
        heads,
        settings.images,
        model=settings.model,
        weights=settings.weights,
        device=settings.device,
        jobs=settings.jobs,
        progress=progress,
    )
    write_atomically(settings.out, predicted.table.to_csv(index=False, lineterminator="\n").encode())
    return predicted


def predict_images(
    heads: HeadEnsemble,
    images: Path,
    *,
    progress: Progress,
    model: str | None = None,
    weights: str | None = None,
    device: str = "auto",
    jobs: int | Literal["auto"] = "auto",
) -> PredictedImages:
    """Predict the photographs of a folder.

    Args:
        heads: The heads.
        images: Folder, searched in all its folders, or one photograph.
        progress: Receives the progress of reading and encoding the photographs.
        model: Model argument of the encoder instead of the stored one.
        weights: Its weights file instead of the stored one.
        device: Device of the encoder.
        jobs: Number of worker processes.

    Raises:
        DataError: There is no readable photograph.
        StoreError: The encoder is missing, or is not that of the heads.
        SettingsError: The model argument is not valid.
        WeightsError: The weights of the encoder are missing or damaged.
    """
    spec = find_encoder(heads.facts, model, weights)
    image_set = _read(images.expanduser().absolute(), heads.facts.modality, progress)
    resources = open_encoder(heads.facts, spec, image_set.task(), device, jobs)
    encode_images(image_set, spec.name, resources.context, progress)
    names = [Path(path).relative_to(image_set.folder).as_posix() for path in image_set.images.path]
    embeddings = StoredEmbeddings(resources.context, spec.name, TASK, resources)(list(image_set.images.image))
    check_finite(spec.name, names, embeddings)
    table = heads.predict_embeddings(embeddings).table()
    table.insert(0, "image", names)
    note = library_note(heads.facts, spec)
    return PredictedImages(heads, table, (*image_set.notes, *([note] if note else [])))


def _read(images: Path, modality: str, progress: Progress) -> ImageSet:
    """The readable photographs of a folder, or one photograph, with the field of view of the heads' task."""
    if images.is_dir():
        folder, rows = images, list(image_rows(images))
    elif images.is_file():
        folder, rows = images.parent, [Row(safe_id(images.stem), images, modality="")]
    else:
        raise DataError(f"images={images}: no such file or folder; set images= to a folder of photographs")
    if not rows:
        raise DataError(f"images={images}: there is no image in this folder")
    index = read_file_facts(index_from_rows(rows), folder.name, progress)
    if modality in MODALITIES:
        index["modality"], index["field"] = MODALITIES[modality]
    bad = index.problem[index.problem != ""].tolist()
    more = f"; and {len(bad) - _MAX_LISTED} more" if len(bad) > _MAX_LISTED else ""
    notes = [f"{plural(len(bad), 'image')} left out: {'; '.join(bad[:_MAX_LISTED])}{more}"] if bad else []
    doubtful = index.warning[(index.problem == "") & (index.warning != "")].tolist()
    if doubtful:
        more = f", and {len(doubtful) - 1} more" if len(doubtful) > 1 else ""
        notes.append(f"check {plural(len(doubtful), 'image')}: {doubtful[0]}{more}")
    if len(bad) == len(index):
        raise DataError([f"images={images}: no image is readable", *notes])
    return ImageSet(folder, index[index.problem == ""].reset_index(drop=True), tuple(notes))


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _is_own(file: Path) -> bool:
    """Whether a file is a table of predictions."""
    with file.open(encoding="utf-8", errors="replace") as lines:
        columns = lines.readline().rstrip("\n").split(",")
    return columns[0] == "image" and bool({"prediction", "value", "risk"} & set(columns[1:2]))
