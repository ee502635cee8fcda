"""`model=frames:<folder>`: frames of other generators, and the scripts that bring them into its layout."""

from __future__ import annotations

import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from f2vbench import Benchmark
from f2vbench.data.field_of_view import field_of_view
from f2vbench.data.square_crop import SquareView
from f2vbench.errors import DataError
from f2vbench.phantom.cohort import Cohort
from f2vbench.phantom.export.folders import write_cohort
from f2vbench.utils.progress import Silent
from tests.helpers.run_folders import comparable_records
from tests.helpers.true_videos import by_hand, truth

SCRIPTS = Path(__file__).parents[2] / "examples" / "other_generators"
CARD = (
    "name: tiny\ntitle: Tiny\nfamily: generation\nlayout: angiogram_table\nsplit: random\ntest_fraction: 0.67\n"
    "labels: drawn\nsource: simulated\nterms: none\ncitation: none\nobtain: simulate\n"
)
SETTINGS = {"task": "tiny", "seeds": 1, "jobs": 1, "baselines": "none"}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    write_cohort(folder, Cohort(3, 3, size=64), parts=["video"], jobs=1, progress=Silent())
    return folder


@pytest.fixture(autouse=True)
def card(tmp_path, monkeypatch):
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "tiny.yaml").write_text(CARD)
    monkeypatch.setenv("F2VBENCH_PATH", str(tmp_path / "cards"))


def run_script(name: str, *arguments: object) -> None:
    before = sys.argv
    sys.argv = [name, *map(str, arguments)]
    try:
        runpy.run_path(str(SCRIPTS / name), run_name="__main__")
    finally:
        sys.argv = before


def brightened(square: np.ndarray, number: int) -> np.ndarray:
    """Frame of a generator that makes the colours of a square brighter from frame to frame."""
    return np.clip(square * (0.4 + number / 20), 0, 255).astype(np.uint8)


@pytest.fixture
def generated(cohort, tmp_path) -> Path:
    """Sixteen colour frames of each square, in the layout of `run_consisti2v.py`."""
    run_script("write_squares.py", cohort / "video.csv", tmp_path / "squares", 48)
    for file in (tmp_path / "squares").iterdir():
        square = np.array(Image.open(file))
        assert square.shape == (48, 48, 3)
        (tmp_path / "generated" / file.stem).mkdir(parents=True)
        for number in range(16):
            Image.fromarray(brightened(square, number)).save(tmp_path / "generated" / file.stem / f"{number:02d}.png")
    return tmp_path / "generated"


@pytest.mark.filterwarnings("ignore:N = 4")
def test_restored_frames_of_another_generator_are_scored(cohort, generated, tmp_path):
    frames, out = tmp_path / "consisti2v", tmp_path / "run"
    run_script("restore_frames.py", cohort, generated, frames)
    Benchmark(**SETTINGS, model=f"frames:{frames}", data=str(cohort), out=out).run(Silent())
    (record,) = comparable_records(out).values()
    assert record["unit"]["encoder"] == "frames:consisti2v"
    result = record["result"]
    cases = [entry["case"] for entry in result["maps"].values()]
    real, inside = truth(cohort, cases)
    fake = [np.stack([np.array(Image.open(f)) for f in sorted((frames / case).iterdir())]) / 255 for case in cases]
    assert {video.shape for video in fake} == {(12, 64, 64)}
    expected = by_hand(real, fake, inside)
    assert result["metrics"]["psnr"] == pytest.approx(expected["all", "psnr"], abs=1e-4)
    assert result["metrics"]["ssim"] == pytest.approx(expected["all", "ssim"], abs=1e-4)


def test_restored_frames_are_twelve_of_sixteen_in_place_of_their_square(cohort, generated, tmp_path):
    run_script("restore_frames.py", cohort, generated, tmp_path / "frames")
    case = pd.read_csv(cohort / "video.csv").pid_eye[0]
    photograph = cohort / pd.read_csv(cohort / "video.csv").co_rigid[0]
    inside = field_of_view(np.array(Image.open(photograph).convert("RGB")))
    view = SquareView.around(inside)
    taken = [0, 1, 3, 4, 5, 7, 8, 10, 11, 12, 14, 15]
    for number, position in enumerate(taken, 1):
        colours = np.array(Image.open(generated / case / f"{position:02d}.png")).astype(float)
        grey = colours @ [0.299, 0.587, 0.114]
        expected = view.restore(grey) * inside
        found = np.array(Image.open(tmp_path / "frames" / case / f"{number:02d}.png"))
        np.testing.assert_allclose(found, expected, atol=0.51)


def test_videos_that_are_missing_or_too_short_are_named(cohort, generated, tmp_path):
    case = sorted(path.name for path in generated.iterdir())[0]
    (generated / case / "15.png").rename(tmp_path / "15.png")
    for number in range(11, 15):
        (generated / case / f"{number:02d}.png").unlink()
    with pytest.raises(SystemExit, match=f"{case}: 11 frames of 48 × 48 pixels; at least 12 square ones"):
        run_script("restore_frames.py", cohort, generated, tmp_path / "frames")
    shutil.rmtree(generated / case)
    with pytest.raises(SystemExit, match=f"has no folder {case} for the photograph"):
        run_script("restore_frames.py", cohort, generated, tmp_path / "frames")


def test_frames_of_another_size_and_unreadable_frames_are_refused_before_the_run(cohort, tmp_path):
    frames = tmp_path / "made"
    cases = sorted(set(pd.read_csv(cohort / "video.csv").pid_eye))
    for case in cases:
        (frames / case).mkdir(parents=True)
        for number in range(1, 13):
            Image.new("L", (64, 64), 10 * number).save(frames / case / f"{number:02d}.png")
    bench = Benchmark(**SETTINGS, model=f"frames:{frames}", data=str(cohort), out=tmp_path / "run")
    bench.plan()
    Image.new("L", (64, 60)).save(frames / cases[1] / "07.png")
    Image.new("L", (32, 32)).save(frames / cases[3] / "01.png")
    (frames / cases[4] / "02.png").write_bytes(b"cut")
    with pytest.raises(DataError) as error:
        Benchmark(**SETTINGS, model=f"frames:{frames}", data=str(cohort), out=tmp_path / "run").plan()
    text = str(error.value)
    assert f"{cases[1]}/07.png (64 × 60, photograph 64 × 64), {cases[3]}/01.png (32 × 32, photograph 64 × 64)" in text
    assert "restore=yes" in text
    assert f"{frames / cases[4] / '02.png'}: not a readable image" in text
    turned = Image.new("L", (64, 60))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(frames / cases[1] / "07.png", exif=exif)
    with pytest.raises(DataError, match=r"07.png \(60 × 64, photograph"):
        Benchmark(**SETTINGS, model=f"frames:{frames}", data=str(cohort), out=tmp_path / "run").plan()
