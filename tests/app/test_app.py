"""`f2vbench app`: results for a photograph, refused files, and the page."""

from __future__ import annotations

import importlib.util
import socket
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data

from f2vbench.app import markup
from f2vbench.app.findings import Analysis, Findings, ModelFacts, draw_score
from f2vbench.app.nearest import NearestImages
from f2vbench.app.page import answer, answer_upload, check_gradio, launch
from f2vbench.app.settings import AppSettings
from f2vbench.app.uploads import as_photograph, example
from f2vbench.config.run import RunSettings
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.vessel_scores import VesselScore
from f2vbench.errors import DataError, SettingsError
from f2vbench.phantom.cohort import Cohort
from f2vbench.phantom.export.folders import write_cohort
from f2vbench.pretrained.weights_cards import weights_card
from f2vbench.runner.context import Context
from f2vbench.runner.worker_cache import Resources
from f2vbench.search.search import search
from f2vbench.search.settings import SearchSettings
from f2vbench.utils.files import cache_folder
from f2vbench.utils.progress import Silent

MODEL = "fundus2video-mini"
SIZE = 128
FACTS = ModelFacts("<b>model</b>", "0123456789ab", "simulated eyes")


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return Analysis(AppSettings(size=SIZE, device="cpu"), Silent())


@pytest.fixture(scope="module")
def retina() -> np.ndarray:
    """The example at 300 × 300 px."""
    return cv2.resize(np.asarray(data.retina()), (300, 300), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def photograph(retina):
    return as_photograph(retina, "retina.png")


def test_findings_of_a_photograph(analysis, photograph):
    findings = analysis.of(photograph)
    assert findings.frames.shape == (12, SIZE, SIZE)
    assert findings.frames.dtype == np.uint8
    assert findings.frames[4:8].mean() > findings.frames[0].mean() > 0  # the dye arrives
    assert not findings.frames[:, 0, 0].any()  # outside the field of view
    assert findings.overlay.shape == (300, 300, 3)
    assert "probability of artery and vein" in findings.score_text
    assert findings.nearest is None


def test_vessel_score_is_that_of_a_zero_shot_run(analysis, photograph, tmp_path):
    settings = RunSettings(task=["phantom-vessels"], model=[MODEL], image_size=SIZE, device="cpu")
    spec = parse_model(MODEL)
    read = Resources(Context(settings, {}, {spec.name: spec}, tmp_path)).feature_reader(spec.name, "vessel_score")
    expected = photograph.view.restore(read(photograph)[0].astype(np.float32))
    found = analysis.vessel_score(photograph)
    assert found.shape == (300, 300)
    np.testing.assert_allclose(found, expected, atol=1e-3)  # features are stored in half precision
    assert found.max() > 0.5


def test_generators_of_one_frame_have_no_slider(photograph):
    analysis = Analysis(AppSettings(model="fundus2fa-mini", size=64, device="cpu"), Silent())
    findings = analysis.of(photograph)
    assert findings.frames.shape == (1, 64, 64)
    assert 'type="range"' not in markup.findings_html(findings, analysis.model, None)


def test_model_facts_are_those_of_the_weights_card(analysis):
    card = weights_card(MODEL)
    assert card.sha256.startswith(analysis.model.sha256)
    assert len(analysis.model.sha256) == 12
    assert analysis.model.training_data == card.training_data
    page = markup.model_html(analysis.model)
    assert analysis.model.sha256 in page
    assert card.training_data in page
    assert "Not for clinical use." in page


def test_models_without_an_angiogram_are_refused():
    with pytest.raises(SettingsError, match="generates no angiogram"):
        Analysis(AppSettings(model="thumbnail"), Silent())


def test_a_probability_is_drawn_inside_the_field_of_view(photograph):
    row, column = np.argwhere(photograph.fov)[len(np.argwhere(photograph.fov)) // 2]
    score = np.zeros((300, 300), np.float32)
    np.testing.assert_array_equal(draw_score(photograph, score, VesselScore("probability", False)), photograph.rgb)
    score[row, column] = 1
    score[0, 0] = 1
    drawn = draw_score(photograph, score, VesselScore("probability", False))
    assert list(drawn[row, column]) == [0, 229, 255]
    np.testing.assert_array_equal(drawn[0, 0], photograph.rgb[0, 0])


def test_a_difference_is_scaled_by_its_values_inside_the_field_of_view(photograph):
    score = np.zeros((300, 300), np.float32)
    score[100:110, 100:200] = -5
    score[150:160, 100:200] = 0.02
    drawn = draw_score(photograph, score, VesselScore("venous-late", True))
    np.testing.assert_array_equal(drawn[100:110, 100:200], photograph.rgb[100:110, 100:200])
    assert (drawn[150:160, 100:200] == (0, 229, 255)).all()


def test_the_example_is_accepted():
    assert example().rgb.shape == (1411, 1411, 3)


def _write(name: str, folder: Path, retina: np.ndarray) -> Path:
    path = folder / name
    if name == "text.png":
        path.write_text("no image")
    elif name == "empty.jpg":
        path.touch()
    elif name == "cut.png":
        Image.fromarray(retina).save(path)
        path.write_bytes(path.read_bytes()[:20_000])
    elif name == "notes.txt":
        path.write_text("no image")
    elif name == "grey.png":
        Image.new("RGB", (64, 64), (90, 90, 90)).save(path)
    elif name == "person.png":
        Image.fromarray(data.astronaut()).save(path)
    elif name == "crop.png":
        Image.fromarray(retina[100:200, 100:200]).save(path)
    elif name == "many.png":
        Image.new("1", (7000, 6000)).save(path)
    elif name == "bomb.png":
        Image.new("1", (20_000, 18_000)).save(path)
    elif name == "heavy.bmp":
        path.write_bytes(bytes(20 * 2**20 + 1))
    return path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("text.png", "unknown image format"),
        ("empty.jpg", "the file is empty"),
        ("cut.png", "unreadable as an image"),
        ("notes.txt", "not one of the accepted formats"),
        ("grey.png", "black or of one colour"),
        ("person.png", "no round field of view"),
        ("crop.png", "no round field of view"),
        ("many.png", "more than 40 million pixels"),
        ("bomb.png", "more than 40 million pixels"),
        ("heavy.bmp", "larger than 20 MB"),
    ],
)
def test_bad_files_get_a_sentence_and_are_deleted(name, message, tmp_path, retina):
    folder = tmp_path / "upload"
    folder.mkdir()
    path = _write(name, folder, retina)
    page = answer_upload(SimpleNamespace(), str(path))
    assert page.startswith('<p class="f2v-error" role="alert">')
    assert name in page
    assert message in page
    assert str(tmp_path) not in page
    assert not folder.exists()


def test_an_upload_is_deleted_before_it_is_analysed(tmp_path, retina):
    path = tmp_path / "upload" / "eye.png"
    path.parent.mkdir()
    Image.fromarray(retina).save(path)

    def analyse(photograph):
        assert not path.parent.exists()
        np.testing.assert_array_equal(photograph.rgb, retina)
        raise DataError("seen")

    assert "seen" in answer_upload(SimpleNamespace(of=analyse), str(path))


def test_results_have_all_frames_and_escape_names(photograph):
    frames = np.zeros((12, 8, 8), np.uint8)
    findings = Findings("<i>eye</i>.png", frames, np.zeros((8, 8, 3), np.uint8), "a <score>", None)
    page = answer(SimpleNamespace(of=lambda _: findings, model=FACTS, nearest=None), lambda: photograph)
    assert page.count("generated frame") == 12
    assert page.count(" hidden>") == 11
    assert 'max="12"' in page
    assert page.count("Not for clinical use.") == 2
    assert "data:image/gif;base64," in page
    for text in ("<i>", "<b>", "<score>"):
        assert text not in page


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("app") / "library"
    write_cohort(folder, Cohort(2, 2, size=64), parts=["retrieval"], jobs=1, progress=Silent())
    return folder


def test_nearest_images_are_those_of_a_search_and_nothing_is_stored(photographs, photograph, retina, tmp_path):
    with pytest.raises(SettingsError, match="there is no index yet"):
        NearestImages(photographs, 3, "cpu", Silent())
    path = tmp_path / "retina.png"
    Image.fromarray(retina).save(path)
    options = {"image": path, "index": photographs, "k": 3, "jobs": 1, "rebuild": True, "device": "cpu"}
    for model in ("thumbnail", "timm:test_resnet:untrained"):
        found = search(SearchSettings(model=model, out=tmp_path / "sheet.png", **options), Silent()).table
        other = as_photograph(np.ascontiguousarray(retina[::-1]), "mirrored.png")
        nearest = NearestImages(photographs, 3, "cpu", Silent())
        before = sorted(cache_folder().rglob("*"))
        images = nearest.of(photograph)
        nearest.of(other)
        assert sorted(cache_folder().rglob("*")) == before
        assert [image.name for image in images] == [Path(file).name for file in found.file]
        np.testing.assert_allclose([image.distance for image in images], 1 - found.similarity, atol=1e-6)
    query = read_upload_without_field_check(photographs / found.file[0])
    assert Path(found.file[0]).name not in [image.name for image in nearest.of(query)]
    assert nearest.encoder in markup.findings_html(
        Findings("eye", np.zeros((12, 8, 8), np.uint8), np.zeros((8, 8, 3), np.uint8), "score", images), FACTS, nearest
    )


def read_upload_without_field_check(path: Path):
    """A photograph of the library, whose field of view need not be round."""
    from f2vbench.data.images import content_hash, read_rgb
    from f2vbench.data.photographs import Photograph

    rgb = read_rgb(path)
    fov = np.ones(rgb.shape[:2], bool)
    return Photograph(path.name, rgb, fov, f"{content_hash(rgb)} whole", fov)


def test_without_gradio_the_message_has_the_line_that_installs_it(monkeypatch):
    monkeypatch.setattr("f2vbench.app.page.find_spec", lambda _: None)
    with pytest.raises(SettingsError, match=r'pip install "f2vbench\[app\]"'):
        check_gradio()


@pytest.mark.skipif(importlib.util.find_spec("gradio") is None, reason='needs pip install "f2vbench[app]"')
def test_the_page_is_local_and_records_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "True")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    page = launch(SimpleNamespace(model=FACTS), port, tmp_path)
    try:
        assert page.server_name == "127.0.0.1"
        assert not page.share
        assert not page.analytics_enabled
        assert not page.run_history
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as reply:
            assert "fonts.googleapis" not in reply.read().decode()
        assert _upload(port, bytes(100)) == 200
        assert _upload(port, bytes(20 * 2**20 + 1)) == 413
        with pytest.raises(SettingsError, match="another program uses it"):
            launch(SimpleNamespace(model=FACTS), port, tmp_path)
    finally:
        page.close()


def _upload(port: int, content: bytes) -> int:
    body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n' + content + b"\r\n--x--\r\n"
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/gradio_api/upload", body, {"Content-Type": "multipart/form-data; boundary=x"}
    )
    try:
        with urllib.request.urlopen(request) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        return error.code
