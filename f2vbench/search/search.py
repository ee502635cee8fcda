"""Search for the images that are most similar to one image; the result is a table and a contact sheet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas import DataFrame

from f2vbench.config.run import RunSettings
from f2vbench.data.photographs import Photograph, open_photograph
from f2vbench.encoders.model_argument import parse_only_model
from f2vbench.encoders.spec import ModelSpec
from f2vbench.encoders.weights_argument import WeightsArgument
from f2vbench.errors import DataError, SettingsError
from f2vbench.metrics.exact_neighbours import find_nearest, normalise
from f2vbench.report.figures.contact_sheet import draw_contact_sheet
from f2vbench.report.figures.figure import DrawnFigure, Format
from f2vbench.report.figures.retrieved_images import RetrievedImage, similarity_decimals
from f2vbench.runner.context import Context
from f2vbench.runner.worker_cache import Resources
from f2vbench.search.image_set import TASK, ImageSet, image_row, open_image_set
from f2vbench.search.settings import SearchSettings
from f2vbench.search.stored_index import StoredIndex, load_or_build_vectors
from f2vbench.utils.existing_outputs import check_output_file, has_mark
from f2vbench.utils.files import cache_folder, write_atomically
from f2vbench.utils.progress import Progress
from f2vbench.utils.text import layout

_FORMATS: dict[str, Format] = {".png": "png", ".pdf": "pdf", ".svg": "svg"}
_COLUMNS = ["patient", "modality", "eye", "view"]
_THUMBNAIL = 400  # side of an image on the contact sheet, pixels


@dataclass(frozen=True)
class SearchResult:
    """Result of a search.

    Attributes:
        image: The query.
        table: The most similar images first: rank, similarity, patient, modality, eye, view, file.
        model: Name of the encoder.
        searched: Number of images that were searched.
        sheet: File of the contact sheet.
        notes: Images that were left out.
    """

    image: Path
    table: DataFrame
    model: str
    searched: int
    sheet: Path
    notes: tuple[str, ...]

    @property
    def text(self) -> str:
        """The result as text for the terminal."""
        title = f"{len(self.table)} of {self.searched:,} images, most similar to {self.image}, by {self.model}"
        rows = [[_cell(value) for value in row] for row in self.table.to_numpy()]
        notes = [f"note: {note}" for note in self.notes]
        return "\n\n".join([title, layout(list(self.table.columns), rows), *notes, f"contact sheet: {self.sheet}"])


def search(settings: SearchSettings, progress: Progress) -> SearchResult:
    """Find the k images with the highest cosine similarity to the query, and write the contact sheet.

    The query itself is not among the results. With fewer than k images, all are results.

    Args:
        settings: Query, images to search, encoder and output.
        progress: Receives the progress of reading and encoding the images.

    Raises:
        SettingsError: There is neither a model argument nor an index, or the format of the sheet is unknown.
        DataError: The query or all images are unreadable, or there is no other image.
        StoreError: Another encoder built the index.
    """
    sheet = settings.out or Path(f"{settings.image.stem}-found.png")
    if sheet.suffix.lower() not in _FORMATS:
        raise SettingsError(f"out={sheet}: the format of a contact sheet is one of {', '.join(_FORMATS)}")
    check_output_file(sheet, "out", has_mark)
    query = image_row(settings.image.expanduser().absolute())
    image_set = open_image_set(settings.index, progress)
    is_query = (image_set.images.sha256 == query.sha256).to_numpy()
    searched = int(len(is_query) - is_query.sum())
    if not searched:
        raise DataError(f"index={image_set.folder}: has no other image than the query")
    k = min(settings.k, searched)
    argument, spec = choose_model(settings, image_set)
    context = encoding_context(settings, image_set, spec, argument)
    resources = Resources(context)
    vectors = load_or_build_vectors(image_set, argument, context, resources, settings.rebuild, progress)
    photograph = open_photograph(pd.Series(query._asdict()))
    vector = normalise(np.stack([resources.feature_reader(spec.name, "embedding")(photograph)[0]]))
    content = np.where(is_query, 0, 1 + np.arange(len(is_query)))  # images with the query's number are excluded
    found, similarity = find_nearest(vector, vectors, k, np.zeros(1, np.int64), content)
    rows = image_set.images.iloc[found[0]]
    table = rows[_COLUMNS].assign(rank=np.arange(1, len(rows) + 1), similarity=similarity[0], file=list(rows.path))
    title = f"The {k} most similar of {searched:,} images, by {spec.name} (cosine similarity)"
    drawing = _draw(photograph, image_set.images[is_query], rows, similarity[0].tolist(), title)
    write_atomically(sheet, drawing.content(_FORMATS[sheet.suffix.lower()]))
    notes = image_set.notes + (("the query is among the images and is left out",) if is_query.any() else ())
    if k < settings.k:
        notes += (f"k={settings.k}: there are only {searched:,} other images, and all are listed",)
    ordered = table[["rank", "similarity", *_COLUMNS, "file"]].reset_index(drop=True)
    return SearchResult(settings.image, ordered, spec.name, searched, sheet, notes)


def choose_model(settings: SearchSettings, image_set: ImageSet) -> tuple[str, ModelSpec]:
    """Return the encoder of the settings, of the index, or the first of the run, with its model argument."""
    stored = StoredIndex.of_folder(image_set.folder)
    if settings.model is not None:
        argument, cut, pooling = settings.model, settings.cut, settings.pooling
        weights: WeightsArgument = settings.weights
        if weights is None and argument in image_set.models:
            weights = image_set.weights
    elif stored is not None and not settings.rebuild:
        argument, cut, pooling = stored.model, stored.cut, stored.pooling or "levels"
        # The argument of some models ends with the weights file.
        has_file = stored.weights is not None and argument.endswith(Path(stored.weights).name)
        weights = None if has_file else stored.weights
    elif image_set.models:
        argument, weights = image_set.models[0], image_set.weights
        cut, pooling = image_set.cut, image_set.pooling
    else:
        raise SettingsError(
            f"model: {image_set.folder} has no index yet: set model= to the encoder that builds it (f2vbench list "
            "models)"
        )
    spec = parse_only_model(argument, weights, cut, pooling)
    if spec.kind not in ("features", "vector"):
        raise SettingsError(f"model={argument}: has no embedding to compare images by")
    return argument, spec


def encoding_context(settings: SearchSettings, image_set: ImageSet, spec: ModelSpec, argument: str) -> Context:
    """Return the context of a run that encodes the images."""
    run = RunSettings(
        task=[TASK], model=[argument], device=settings.device, precision=settings.precision, jobs=settings.jobs
    )
    return Context(run, {TASK: image_set.task()}, {spec.name: spec}, cache_folder() / "search")


def _draw(
    photograph: Photograph, query: DataFrame, found: DataFrame, similarities: list[float], title: str
) -> DrawnFigure:
    """Draw the contact sheet.

    Args:
        photograph: The query.
        query: Its row in the image set; empty if it is not among the images.
        found: Rows of the found images.
        similarities: Their cosine similarities.
        title: Title of the sheet.
    """
    patient = str(query.patient.iloc[0]) if len(query) else ""
    decimals = similarity_decimals(similarities)
    images = []
    for rank, ((_, row), similarity) in enumerate(zip(found.iterrows(), similarities, strict=True), 1):
        same_patient = bool(patient) and row.patient == patient
        lines = [f"{rank}: {similarity:.{decimals}f}", _patient_line(row.patient, same_patient), _view_line(row)]
        images.append(_retrieved_image(open_photograph(row), lines, same_patient))
    lines = ["query", _patient_line(patient), _view_line(query.iloc[0]) if len(query) else ""]
    label = other_patients_label(patient, found)
    return draw_contact_sheet(_retrieved_image(photograph, lines), images, title, label)


def other_patients_label(patient: str, found: DataFrame) -> str:
    """Return the legend of images without the query's patient.

    Args:
        patient: The query's patient; "" if unknown.
        found: Rows of the found images.

    Returns:
        The label; "" if the query's patient is unknown.
    """
    if not patient:
        return ""
    return "another patient" if (found.patient != "").all() else "another patient, or unknown"


def _retrieved_image(photograph: Photograph, lines: list[str], same_patient: bool | None = None) -> RetrievedImage:
    return RetrievedImage(photograph.square(_THUMBNAIL), [line for line in lines if line], same_patient)


def _patient_line(patient: str, same_patient: bool = False) -> str:
    return f"{'same ' if same_patient else ''}patient {patient}" if patient else ""


def _view_line(row: Any) -> str:
    return " · ".join(filter(None, (row.modality, row.eye, row.view)))


def _cell(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
