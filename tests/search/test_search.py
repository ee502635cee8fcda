"""f2vbench search: what is found, what is kept, and what is refused."""

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
from f2vbench.search.search import _others, search
from f2vbench.search.settings import SearchSettings
from f2vbench.search.stored_index import place
from f2vbench.utils.progress import Silent

OTHER = "timm:test_resnet:untrained"


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("library")
    write_cohort(folder, Cohort(2, 4, size=64), parts=["retrieval"], jobs=1, progress=Silent())
    return folder


@pytest.fixture
def query(library, tmp_path) -> Path:
    """A colour photograph of the library, a little brighter, so that it is no copy."""
    table = pd.read_csv(library / "retrieval.csv", dtype=str)
    pixels = np.array(Image.open(library / table.image[table.modality == "CF"].iloc[0]).convert("RGB"))
    path = tmp_path / "query.png"
    Image.fromarray(np.clip(pixels.astype(int) + 3, 0, 255).astype(np.uint8)).save(path)
    return path


def ask(tmp_path, **words):
    words = {"k": 5, "model": "thumbnail", "jobs": 1, "out": tmp_path / "sheet.png", **words}
    return search(SearchSettings(**words), Silent())


def embedded(path: Path) -> np.ndarray:
    rgb = np.array(Image.open(path).convert("RGB"))
    view = SquareView.around(field_of_view(rgb))
    vector = load_encoder("thumbnail").embed([view.crop(rgb, view.side)])[0].astype(float)
    return vector / np.linalg.norm(vector)


def test_the_command_finds_what_a_plain_loop_finds_and_draws_it(library, query, tmp_path, capsys):
    sheet = tmp_path / "sheet.png"
    words = [str(query), f"index={library}", "model=thumbnail", "k=7", "jobs=1", f"out={sheet}"]
    assert main(["search", *words]) == 0
    told = capsys.readouterr().out
    table = pd.read_csv(library / "retrieval.csv", dtype=str)
    asked = embedded(query)
    similar = {file: float(asked @ embedded(library / file)) for file in table.image}
    expected = sorted(similar, key=lambda file: -similar[file])[:7]
    lines = [line.split() for line in told.splitlines() if line.strip() and line.split()[0].isdigit()]
    ranked = [line for line in lines if line[-1].endswith(".png") and len(line) >= 6]
    assert [Path(line[-1]).relative_to(library).as_posix() for line in ranked] == expected
    patient = table.set_index("image").patient
    assert [line[2] for line in ranked] == [patient[file] for file in expected]
    assert [float(line[1]) for line in ranked] == pytest.approx([similar[f] for f in expected], abs=6e-5)
    with Image.open(sheet) as drawn:
        assert drawn.width == pytest.approx(183 / 25.4 * 300, abs=2)
    assert np.asarray(Image.open(sheet).convert("L")).std() > 20


def test_an_index_is_built_once_renewed_for_new_images_and_resumed(library, query, tmp_path, monkeypatch):
    folder = tmp_path / "folder"
    shutil.copytree(library / "images", folder)
    left = sorted(folder.iterdir())
    held = left.pop(0).rename(tmp_path / "held.png")
    first = ask(tmp_path, image=query, index=folder)
    assert first.searched == len(left)
    assert any("retrieval.csv" in note for note in first.notes)

    import f2vbench.search.stored_index as module

    encoded = []
    original = module.execute
    monkeypatch.setattr(module, "execute", lambda *words: encoded.append(1) or original(*words))
    again = ask(tmp_path, image=query, index=folder, model=None)  # the index knows its model
    assert not encoded
    pd.testing.assert_frame_equal(again.table, first.table)
    assert again.model == "thumbnail"
    held.rename(folder / "new.png")
    features = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.features")}
    assert ask(tmp_path, image=query, index=folder).searched == len(left) + 1
    now = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.features")}
    assert len(encoded) == 1
    assert {path: now[path] for path in features} == features, "what was encoded is encoded again"
    assert len(now) == len(features) + 1
    (place(folder) / "vectors.npy").write_bytes(b"damaged")
    pd.testing.assert_frame_equal(
        ask(tmp_path, image=query, index=folder, k=3).table.iloc[:, 2:],
        ask(tmp_path, image=query, index=folder, k=3, model=None).table.iloc[:, 2:],
    )


def test_building_that_was_stopped_goes_on_where_it_was(library, query, tmp_path, monkeypatch):
    import f2vbench.search.stored_index as module

    original = module.execute

    def stopped(*words):
        for number, done in enumerate(original(*words)):
            if number == 2:
                raise KeyboardInterrupt
            yield done

    monkeypatch.setattr(module, "execute", stopped)
    with pytest.raises(KeyboardInterrupt):
        ask(tmp_path, image=query, index=library)
    assert not (place(library) / "index.json").exists()
    features = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.features")}
    assert 0 < len(features) < len(pd.read_csv(library / "retrieval.csv"))
    monkeypatch.setattr(module, "execute", original)
    found = ask(tmp_path, image=query, index=library)
    assert {path: path.stat().st_mtime_ns for path in features} == features, "what was encoded is encoded again"
    fresh = tmp_path / "elsewhere"
    shutil.copytree(library, fresh)
    again = ask(tmp_path, image=query, index=fresh)
    pd.testing.assert_frame_equal(found.table.drop(columns="file"), again.table.drop(columns="file"))


def test_an_index_of_another_encoder_is_refused_by_its_key(library, query, tmp_path):
    ask(tmp_path, image=query, index=library)
    with pytest.raises(StoreError, match=r"built by thumbnail .*, not by timm:test_resnet:untrained"):
        ask(tmp_path, image=query, index=library, model=OTHER)
    assert ask(tmp_path, image=query, index=library, model=OTHER, rebuild=True).model == OTHER
    with pytest.raises(StoreError, match="rebuild=true"):
        ask(tmp_path, image=query, index=library)


def test_the_image_itself_and_copies_are_not_found_and_the_same_patient_is_known(library, tmp_path):
    table = pd.read_csv(library / "retrieval.csv", dtype=str)
    own = library / table.image[0]
    found = ask(tmp_path, image=own, index=library, k=len(table) - 1)
    assert str(own) not in set(found.table.file)
    assert len(found.table) == len(table) - 1
    assert any("the image itself" in note for note in found.notes)


def test_a_run_can_be_searched_with_its_first_model(library, query, tmp_path, monkeypatch):
    card = "name: tiny\ntitle: T\nfamily: retrieval\nlayout: retrieval_table\nlabels: d\nsource: s\nterms: n\n"
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "tiny.yaml").write_text(card + "citation: n\nobtain: s\n")
    monkeypatch.setenv("F2VBENCH_PATH", str(tmp_path / "cards"))
    words = {"task": "tiny", "model": "thumbnail", "data": str(library), "seeds": 1, "jobs": 1}
    Benchmark(**words, out=tmp_path / "run").run(Silent())
    of_run = ask(tmp_path, image=query, index=tmp_path / "run", model=None)
    of_folder = ask(tmp_path, image=query, index=library)
    pd.testing.assert_frame_equal(of_run.table, of_folder.table)


def test_what_can_not_be_searched_is_refused_and_what_can_not_be_read_is_told(library, query, tmp_path):
    folder = tmp_path / "folder"
    shutil.copytree(library / "images", folder)
    (folder / "broken.png").write_bytes(b"\x89PNG broken")
    found = ask(tmp_path, image=query, index=folder)
    assert any("1 images can't be read" in note and "broken.png" in note for note in found.notes)
    count = found.searched
    with pytest.raises(DataError, match=rf"k={count + 1}, but .* has {count} other images"):
        ask(tmp_path, image=query, index=folder, k=count + 1)
    with pytest.raises(DataError, match=r"broken\.png"):
        ask(tmp_path, image=folder / "broken.png", index=folder)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="no image in this folder"):
        ask(tmp_path, image=query, index=empty)
    (empty / "bad.png").write_bytes(b"no")
    with pytest.raises(DataError, match="none of its images can be read"):
        ask(tmp_path, image=query, index=empty)
    with pytest.raises(DataError, match="there is no such folder"):
        ask(tmp_path, image=query, index=tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"nothing\.png"):
        ask(tmp_path, image=tmp_path / "nothing.png", index=folder)
    with pytest.raises(SettingsError, match="search for one image at a time, not for 2"):
        parse(SearchSettings, ["a.png", "b.png", f"index={folder}"])
    with pytest.raises(SettingsError, match="no index yet"):
        ask(tmp_path, image=query, index=library, model=None)
    with pytest.raises(SettingsError, match="no embedding"):
        ask(tmp_path, image=query, index=library, model="tophat")
    with pytest.raises(SettingsError, match="contact sheet is one of"):
        ask(tmp_path, image=query, index=library, out=tmp_path / "sheet.doc")


def test_a_frame_says_another_patient_only_where_both_are_known():
    known, half = pd.DataFrame({"patient": ["a", "b"]}), pd.DataFrame({"patient": ["a", ""]})
    assert _others("a", known) == "another patient"
    assert _others("a", half) == "another patient, or not known whose"
    assert _others("", known) == ""
    blank = RetrievedImage(np.zeros((4, 4, 3), np.uint8), ["query"])
    for others, legends in (("", 0), ("another patient", 1)):
        assert len(draw_contact_sheet(blank, [blank], "found", others).figure.legends) == legends
