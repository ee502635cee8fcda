"""`f2vbench search`: results, the stored index, and error messages."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from f2vbench import Benchmark, load_encoder
from f2vbench.cli.main import main
from f2vbench.config.parsing import parse
from f2vbench.data.field_of_view import field_of_view
from f2vbench.data.square_crop import SquareView
from f2vbench.errors import DataError, SettingsError, StoreError
from f2vbench.phantom.cohort import Cohort
from f2vbench.phantom.export.folders import write_cohort
from f2vbench.report.figures.contact_sheet import draw_contact_sheet
from f2vbench.report.figures.retrieved_images import RetrievedImage
from f2vbench.runner.engines.local import LocalEngine
from f2vbench.search.search import other_patients_label, search
from f2vbench.search.settings import SearchSettings
from f2vbench.search.stored_index import index_folder
from f2vbench.utils.progress import Silent
from tests.helpers.stored_features import stored_entries

OTHER_MODEL = "timm:test_resnet:untrained"


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    """24 images of two patients with a table."""
    folder = tmp_path_factory.mktemp("library")
    write_cohort(folder, Cohort(2, 2, size=64), parts=["retrieval"], jobs=1, progress=Silent())
    return folder


@pytest.fixture
def query(library, tmp_path) -> Path:
    """A colour photograph of the library, slightly brighter, so that it is not an exact duplicate."""
    table = pd.read_csv(library / "retrieval.csv", dtype=str)
    pixels = np.array(Image.open(library / table.image[table.modality == "CF"].iloc[0]).convert("RGB"))
    path = tmp_path / "query.png"
    Image.fromarray(np.clip(pixels.astype(int) + 3, 0, 255).astype(np.uint8)).save(path)
    return path


class EmptySheet:
    """A contact sheet without images."""

    def content(self, _: str) -> bytes:
        return b""


@pytest.fixture
def run_search(tmp_path, monkeypatch):
    """Search with default settings for tests, which keywords replace, and without drawing."""
    monkeypatch.setattr("f2vbench.search.search.draw_contact_sheet", lambda *_: EmptySheet())

    def run(**settings):
        defaults = {"k": 3, "model": "thumbnail", "jobs": 1, "out": tmp_path / "sheet.png"}
        return search(SearchSettings(**(defaults | settings)), Silent())

    return run


def embed(path: Path) -> np.ndarray:
    """Compute a normalised embedding without the code of the search."""
    rgb = np.array(Image.open(path).convert("RGB"))
    view = SquareView.around(field_of_view(rgb))
    vector = load_encoder("thumbnail").embed([view.crop(rgb, view.side)])[0].astype(float)
    return vector / np.linalg.norm(vector)


def test_the_command_finds_what_a_plain_loop_finds_and_writes_a_contact_sheet(library, query, tmp_path, capsys):
    sheet = tmp_path / "sheet.png"
    arguments = [str(query), f"index={library}", "model=thumbnail", "k=7", "jobs=1", f"out={sheet}"]
    assert main(["search", *arguments]) == 0
    output = capsys.readouterr().out
    table = pd.read_csv(library / "retrieval.csv", dtype=str)
    vector = embed(query)
    similarity = {file: float(vector @ embed(library / file)) for file in table.image}
    expected = sorted(similarity, key=lambda file: -similarity[file])[:7]
    lines = [line.split() for line in output.splitlines() if line.strip() and line.split()[0].isdigit()]
    rows = [line for line in lines if line[-1].endswith(".png") and len(line) >= 6]
    assert [Path(row[-1]).relative_to(library).as_posix() for row in rows] == expected
    patient = table.set_index("image").patient
    assert [row[2] for row in rows] == [patient[file] for file in expected]
    assert [float(row[1]) for row in rows] == pytest.approx([similarity[file] for file in expected], abs=6e-5)
    with Image.open(sheet) as drawn:
        assert drawn.width == pytest.approx(183 / 25.4 * 300, abs=2)
        assert np.asarray(drawn.convert("L")).std() > 20


def test_an_index_is_built_once_and_updated_for_new_and_damaged_files(
    library, query, tmp_path, monkeypatch, run_search
):
    folder = tmp_path / "folder"
    shutil.copytree(library / "images", folder)
    images = sorted(folder.iterdir())
    new_image = images.pop(0).rename(tmp_path / "new.png")
    first = run_search(image=query, index=folder)
    assert first.searched == len(images)
    assert any("retrieval.csv" in note for note in first.notes)

    builds = []
    execute = LocalEngine.execute
    monkeypatch.setattr(LocalEngine, "execute", lambda *arguments: builds.append(1) or execute(*arguments))
    again = run_search(image=query, index=folder, model=None)  # the index stores its model
    assert not builds
    pd.testing.assert_frame_equal(again.table, first.table)
    assert again.model == "thumbnail"
    new_image.rename(folder / "new.png")
    before = stored_entries()
    assert run_search(image=query, index=folder).searched == len(images) + 1
    after = stored_entries()
    assert len(builds) == 1
    assert {entry: after[entry] for entry in before} == before, "an image is encoded again"
    assert len(after) == len(before) + 1
    (index_folder(folder) / "vectors.npy").write_bytes(b"damaged")
    pd.testing.assert_frame_equal(
        run_search(image=query, index=folder).table, run_search(image=query, index=folder, model=None).table
    )


def test_an_interrupted_build_continues(library, query, tmp_path, monkeypatch, run_search):
    execute = LocalEngine.execute

    def interrupted(*arguments):
        for number, done in enumerate(execute(*arguments)):
            if number == 1:
                raise KeyboardInterrupt
            yield done

    with monkeypatch.context() as patched:
        patched.setattr(LocalEngine, "execute", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_search(image=query, index=library)
    assert not (index_folder(library) / "index.json").exists()
    before = stored_entries()
    assert 0 < len(before) < len(pd.read_csv(library / "retrieval.csv"))
    found = run_search(image=query, index=library)
    after = stored_entries()
    assert {entry: after[entry] for entry in before} == before, "an image is encoded again"
    copy = tmp_path / "copy"
    shutil.copytree(library, copy)
    uninterrupted = run_search(image=query, index=copy)
    pd.testing.assert_frame_equal(found.table.drop(columns="file"), uninterrupted.table.drop(columns="file"))


def test_an_index_of_another_encoder_is_an_error_unless_it_is_rebuilt(library, query, run_search):
    run_search(image=query, index=library)
    with pytest.raises(StoreError, match=r"built by thumbnail .*, not by timm:test_resnet:untrained"):
        run_search(image=query, index=library, model=OTHER_MODEL)
    assert run_search(image=query, index=library, model=OTHER_MODEL, rebuild=True).model == OTHER_MODEL
    with pytest.raises(StoreError, match="rebuild=true"):
        run_search(image=query, index=library)


def test_the_query_is_not_among_the_results(library, run_search):
    table = pd.read_csv(library / "retrieval.csv", dtype=str)
    query = library / table.image[0]
    found = run_search(image=query, index=library, k=len(table) - 1)
    assert str(query) not in set(found.table.file)
    assert len(found.table) == len(table) - 1
    assert any("the query is among the images" in note for note in found.notes)


def test_a_run_is_searched_with_its_first_model(library, query, tmp_path, monkeypatch, run_search):
    card = "name: tiny\ntitle: T\nfamily: retrieval\nlayout: retrieval_table\nlabels: d\nsource: s\nterms: n\n"
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "tiny.yaml").write_text(card + "citation: n\nobtain: s\n")
    monkeypatch.setenv("F2VBENCH_PATH", str(tmp_path / "cards"))
    settings = {"task": "tiny", "model": "thumbnail", "data": str(library), "seeds": 1, "jobs": 1, "baselines": "none"}
    Benchmark(**settings, out=tmp_path / "run").run(Silent())
    of_run = run_search(image=query, index=tmp_path / "run", model=None)
    of_folder = run_search(image=query, index=library)
    pd.testing.assert_frame_equal(of_run.table, of_folder.table)


def test_unreadable_images_are_left_out_with_a_note(library, query, tmp_path, run_search):
    folder = tmp_path / "folder"
    shutil.copytree(library / "images", folder)
    (folder / "broken.png").write_bytes(b"\x89PNG broken")
    found = run_search(image=query, index=folder)
    assert any("1 images are unreadable" in note and "broken.png" in note for note in found.notes)
    every = run_search(image=query, index=folder, k=found.searched + 1)
    assert len(every.table) == found.searched
    assert any(f"there are only {found.searched} other images" in note for note in every.notes)
    with pytest.raises(DataError, match=r"broken\.png"):
        run_search(image=folder / "broken.png", index=folder)


def test_unusable_folders_are_errors(query, tmp_path, run_search):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="no image in this folder"):
        run_search(image=query, index=empty)
    (empty / "bad.png").write_bytes(b"no")
    with pytest.raises(DataError, match="none of its images is readable"):
        run_search(image=query, index=empty)
    with pytest.raises(DataError, match="no such folder"):
        run_search(image=query, index=tmp_path / "missing")


def test_unusable_settings_are_errors(library, query, tmp_path, run_search):
    with pytest.raises(DataError, match=r"nothing\.png"):
        run_search(image=tmp_path / "nothing.png", index=library)
    with pytest.raises(SettingsError, match="search for one image at a time, not for 2"):
        parse(SearchSettings, ["a.png", "b.png", f"index={library}"])
    with pytest.raises(SettingsError, match="no index yet"):
        run_search(image=query, index=library, model=None)
    with pytest.raises(SettingsError, match="no embedding"):
        run_search(image=query, index=library, model="tophat")
    with pytest.raises(SettingsError, match="format of a contact sheet is one of"):
        run_search(image=query, index=library, out=tmp_path / "sheet.doc")


def test_the_legend_names_other_patients_only_if_patients_are_known():
    known, partly_known = pd.DataFrame({"patient": ["a", "b"]}), pd.DataFrame({"patient": ["a", ""]})
    assert other_patients_label("a", known) == "another patient"
    assert other_patients_label("a", partly_known) == "another patient, or unknown"
    assert other_patients_label("", known) == ""
    blank = RetrievedImage(np.zeros((4, 4, 3), np.uint8), ["query"])
    for label, legends in (("", 0), ("another patient", 1)):
        assert len(draw_contact_sheet(blank, [blank], "title", label).figure.legends) == legends
