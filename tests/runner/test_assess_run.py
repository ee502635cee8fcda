"""Assessment of the videos of a run: from the feature cache, from baselines, and from folders of frames."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file

from f2vbench import Benchmark, Results
from f2vbench.cli.main import main
from f2vbench.config.parsing import build
from f2vbench.data.field_of_view import field_of_view
from f2vbench.data.square_crop import SquareView
from f2vbench.encoders.global_generator import global_generator, initialise
from f2vbench.encoders.model_family import GeneratorShape
from f2vbench.errors import SettingsError, StoreError
from f2vbench.phantom.cohort import Cohort
from f2vbench.phantom.export.folders import write_cohort
from f2vbench.utils.files import cache_folder
from f2vbench.utils.progress import Silent
from f2vbench.videos.assessment.key import read_key
from f2vbench.videos.assessment.prepare import prepare
from f2vbench.videos.assessment.settings import PrepareSettings
from tests.helpers.assessments import write_ratings

SIZE = 64


@pytest.fixture
def run(tmp_path) -> Path:
    """A run of a tiny generator, of its frames in a folder, and of two baselines, on eight simulated eyes."""
    write_cohort(tmp_path / "eyes", Cohort(3, 4, size=SIZE), parts=["video"], jobs=1, progress=Silent())
    generator = global_generator(GeneratorShape(6, 3, 2))
    initialise(generator, 1)
    state = {f"model.{key}": 4 * value for key, value in generator.state_dict().items()}
    weights = tmp_path / "video.safetensors"
    save_file(state, weights, {"seen": json.dumps({"enlarge": "1"})})
    model, frames = f"fundus2video:{weights}", tmp_path / "made"
    arguments = [str(tmp_path / "eyes"), f"out={frames}", f"model={model}", "restore=yes", f"size={SIZE}"]
    assert main(["generate", *arguments]) == 0
    Benchmark(
        task="angiogram",
        data=str(tmp_path / "eyes" / "video.csv"),
        model=[model, f"frames:{frames}"],
        baselines=["still", "mean-video"],
        seeds=2,
        jobs=1,
        image_size=SIZE,
        precision="float32",
        decoder={"crop": SIZE},
        out=tmp_path / "run",
    ).run(Silent())
    return tmp_path / "run"


def prepared(run: Path, out: Path, **arguments: object):
    return prepare(build(PrepareSettings, {"run": str(run), "out": str(out), "videos": 4, "raters": 1, **arguments}))


def videos_of(page: Path, key: dict) -> dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]:
    """(case, method) → real and generated frames on the page."""
    text = page.read_text()
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    images = dict(re.findall(r'<script type="text/plain" id="(i\d+)">(.*?)</script>', text))
    cases = {case["image"]: case["case"] for case in key["cases"]}

    def frames(names: list[str]) -> np.ndarray:
        files = [io.BytesIO(base64.b64decode(images[name])) for name in names]
        return np.stack([np.array(Image.open(file).convert("L")) for file in files])

    found = {}
    for shown, item in zip(data["items"], key["raters"][0]["items"], strict=True):
        sides = frames(shown["a"]), frames(shown["b"])
        generated, real = sides if item["generated"] == "A" else sides[::-1]
        found[cases[item["image"]], item["method"]] = real, generated
    return found


@pytest.mark.slow
def test_pages_show_the_frames_of_the_run_and_its_report_the_scores(run, tmp_path, capsys):
    assessment = prepared(run, run / "readers")
    key = read_key(assessment.key)
    assert set(key["methods"]) == {"fundus2video:video", "frames:made", "still", "mean-video"}
    assert key["origin"]["seeds"] == [0, 1]
    shown = videos_of(assessment.pages[0], key)
    assert len(shown) == 16
    table = (tmp_path / "eyes" / "video.csv").read_text().splitlines()
    header = table[0].split(",")
    for case in {case for case, _ in shown}:
        rows = [dict(zip(header, line.split(","), strict=True)) for line in table[1:] if case in line.split(",")]
        photograph = np.array(Image.open(tmp_path / "eyes" / rows[0]["co_rigid"]).convert("RGB"))
        fov = field_of_view(photograph)
        view = SquareView.around(fov)
        real, still = shown[case, "still"]
        inside = real.max(axis=0) > 0
        green = view.crop(photograph[..., 1] * fov, view.side)
        assert (still[:, inside] == green[inside]).all()
        files = sorted((tmp_path / "made" / case).glob("*.png"))
        made = np.stack([view.crop(np.array(Image.open(file).convert("L")), view.side) for file in files])
        precomputed, generated = shown[case, "frames:made"][1], shown[case, "fundus2video:video"][1]
        assert (precomputed[:, inside] == made[:, inside]).all()
        # Half precision on the way; `generate` blackens the square before it restores it, which changes border pixels.
        assert np.percentile(np.abs(generated[:, inside].astype(int) - made[:, inside]), 95) <= 1
        assert (shown[case, "mean-video"][0] == real).all()  # the same acquired video for every method
    ratings = write_ratings(tmp_path / "a.csv", key, 0, lambda item, _: "2" if item["method"] != "still" else "5")
    assert main(["assess", "score", str(ratings), f"key={assessment.key}"]) == 0
    assert re.search(r"still +rater-1 +5\.00 ± 0\.00", capsys.readouterr().out)
    paths = Results.load(run).report(tmp_path / "report", format="html,md,latex", figures="assessment")
    page = next(path for path in paths if path.name == "report.html").read_text()
    assert '<a href="#assessment">Human assessment</a>' in page
    assert "Human assessment, ranks of methods" in page
    assert "Scores of the raters by method" in page
    assert "Human assessment, scores" in (tmp_path / "report" / "tables.tex").read_text()


@pytest.mark.slow
def test_frames_that_are_not_on_this_machine_are_named_with_the_way_to_get_them(run, tmp_path):
    with pytest.raises(SettingsError, match="models=stil: not in this run; did you mean 'still'"):
        prepared(run, tmp_path / "a", models="stil")
    with pytest.raises(SettingsError, match=r"videos=50: there are [4-8] examinations"):
        prepared(run, tmp_path / "a", videos=50)
    shutil.rmtree(cache_folder() / "features")
    with pytest.raises(StoreError, match=r"fundus2video:video: the feature cache lacks its frames.*f2vbench generate"):
        prepared(run, tmp_path / "a")
    assert not (tmp_path / "a").exists()
    frames = {"generated": str(tmp_path / "made")}
    assert prepared(run, tmp_path / "a", models="still", frames=frames).methods == ("still", "generated")
    with pytest.raises(StoreError, match="eyes: not a run folder"):
        prepared(tmp_path / "eyes", tmp_path / "b")
