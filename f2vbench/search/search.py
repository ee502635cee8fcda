"""`f2vbench search`: one image in; the most similar ones of a folder or a run out, as a table and a contact sheet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas import DataFrame

from f2vbench.config.run import RunSettings
from f2vbench.data.photographs import Photograph, open_photograph
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.spec import ModelSpec
from f2vbench.errors import DataError, SettingsError
from f2vbench.metrics.exact_neighbours import find_nearest, normalise
from f2vbench.report.figures.contact_sheet import draw_contact_sheet
from f2vbench.report.figures.figure import Format
from f2vbench.report.figures.retrieved_images import RetrievedImage, similarity_decimals
from f2vbench.runner.context import Context
from f2vbench.runner.worker_cache import Resources
from f2vbench.search.settings import SearchSettings
from f2vbench.search.sources import NAME, Source, described_image, open_source
from f2vbench.search.stored_index import StoredIndex, vectors_of
from f2vbench.utils.files import cache_folder, write_atomically
from f2vbench.utils.progress import Progress
from f2vbench.utils.text import layout

_FORMATS: dict[str, Format] = {".png": "png", ".pdf": "pdf", ".svg": "svg"}


@dataclass(frozen=True)
class Searched:
    """What a search gave.

    Attributes:
        image: whose like was looked for.
        table: nearest first: rank, similarity, patient, modality, eye, view, file.
        model: name of the encoder.
        searched: how many images were.
        sheet: the contact sheet.
        notes: what was left out.
    """

    image: Path
    table: DataFrame
    model: str
    searched: int
    sheet: Path
    notes: tuple[str, ...]

    @property
    def text(self) -> str:
        """For the terminal."""
        head = f"{len(self.table)} of {self.searched:,} images most like {self.image}, by {self.model}"
        rows = [[_cell(value) for value in row] for row in self.table.to_numpy()]
        notes = [f"note: {note}" for note in self.notes]
        return "\n\n".join([head, layout(list(self.table.columns), rows), *notes, f"contact sheet: {self.sheet}"])


def search(settings: SearchSettings, progress: Progress) -> Searched:
    """Find the k images most similar to one, by cosine similarity of embeddings; write the contact sheet.

    The image itself, where it is among those searched, is not shown.

    Raises:
        SettingsError: no model is named and no index is there; or the sheet's format is not known.
        DataError: the image or all of the folder can't be read, or k is larger than what there is.
        StoreError: another encoder built the index.
    """
    sheet = settings.out or Path(f"{settings.image.stem}-found.png")
    if sheet.suffix.lower() not in _FORMATS:
        raise SettingsError(f"out={sheet}: a contact sheet is one of {', '.join(_FORMATS)}")
    query = described_image(settings.image.expanduser().absolute())
    source = open_source(settings.index, progress)
    same = (source.images.sha256 == query.sha256).to_numpy()
    if settings.k > len(same) - same.sum():
        raise DataError(
            f"k={settings.k}, but {source.folder} has {len(same) - same.sum()} other images: ask for that many or fewer"
        )
    word, spec = _model(settings, source)
    context = _context(settings, source, spec, word)
    resources = Resources(context)
    vectors = vectors_of(source, word, context, resources, settings.rebuild, progress)
    photograph = open_photograph(pd.Series(query._asdict()))
    vector = normalise(np.stack([resources.feature_reader(spec.name, "embedding")(photograph)[0]]))
    found, similarity = find_nearest(
        vector, vectors, settings.k, np.zeros(1, np.int64), np.where(same, 0, 1 + np.arange(len(same)))
    )
    rows = source.images.iloc[found[0]]
    known = source.images[same]
    whose = str(known.patient.iloc[0]) if len(known) else ""
    values = [f"{value:.{similarity_decimals(similarity[0].tolist())}f}" for value in similarity[0]]
    ranked = zip(rows.iterrows(), values, strict=True)
    pictures = [_shown(rank, row, value, whose) for rank, ((_, row), value) in enumerate(ranked, 1)]
    told = ["query", _of_patient(whose), *(_told(known.iloc[0]) if len(known) else [])]
    title = f"The {settings.k} most similar of {len(same) - same.sum():,} images, by {spec.name} (cosine similarity)"
    drawn = draw_contact_sheet(
        RetrievedImage(_picture(photograph), _lines(told)), pictures, title, _others(whose, rows)
    )
    write_atomically(sheet, drawn.content(_FORMATS[sheet.suffix.lower()]))
    columns = ["patient", "modality", "eye", "view"]
    table = rows[columns].assign(rank=np.arange(1, len(rows) + 1), similarity=similarity[0], file=list(rows.path))
    notes = source.notes + (("the image itself is among those searched, and not shown",) if same.any() else ())
    ordered = table[["rank", "similarity", *columns, "file"]].reset_index(drop=True)
    return Searched(settings.image, ordered, spec.name, int(len(same) - same.sum()), sheet, notes)


def _others(whose: str, rows: pd.DataFrame) -> str:
    """What can be said of the images that are not known to be of the query's patient; nothing where that is unknown."""
    if not whose:
        return ""
    return "another patient" if (rows.patient != "").all() else "another patient, or not known whose"


def _model(settings: SearchSettings, source: Source) -> tuple[str, ModelSpec]:
    """The encoder asked for, or that of the index, or the run's first that gives embeddings; and its word."""
    held = StoredIndex.of(source.folder)
    if settings.model is not None:
        weights: Any = settings.weights or (source.weights if settings.model in source.models else None)
        word, spec = settings.model, parse_model(settings.model, weights, settings.cut)
    elif held is not None and not settings.rebuild:
        word, spec = held.model, parse_model(*_with_weights(held.model, held.weights), held.cut)
    elif source.models:
        word = source.models[0]
        spec = parse_model(word, source.weights, source.cut)
    else:
        raise SettingsError(
            f"model: {source.folder} has no index yet: say which encoder builds it (f2vbench list models)"
        )
    if spec.kind not in ("features", "vector"):
        raise SettingsError(f"model={word}: it gives no embedding to compare images by")
    return word, spec


def _with_weights(word: str, weights: str | None) -> tuple[str, str | None]:
    """A word and its file, where the word does not name it."""
    return (word, None) if weights is None or word.endswith(Path(weights).name) else (word, weights)


def _context(settings: SearchSettings, source: Source, spec: ModelSpec, word: str) -> Context:
    run = RunSettings(
        task=[NAME], model=[word], device=settings.device, precision=settings.precision, jobs=settings.jobs
    )
    return Context(run, {NAME: source.task()}, {spec.name: spec}, cache_folder() / "search")


def _shown(rank: int, row: Any, similarity: str, whose: str) -> RetrievedImage:
    hit = bool(whose) and row.patient == whose
    patient = _of_patient(row.patient)
    lines = [f"{rank}: {similarity}", f"same {patient}" if hit else patient, *_told(row)]
    return RetrievedImage(_picture(open_photograph(row)), _lines(lines), hit)


def _picture(photograph: Photograph) -> np.ndarray:
    return photograph.square(400)


def _of_patient(patient: str) -> str:
    return f"patient {patient}" if patient else ""


def _told(row: Any) -> list[str]:
    return [" · ".join(filter(None, (row.modality, row.eye, row.view)))]


def _cell(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _lines(lines: list[str]) -> list[str]:
    return [line for line in lines if line]
