"""Runs of video generation tasks on a few simulated eyes, with tiny generators."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors.torch import save_file

from f2vbench import Benchmark, Results
from f2vbench.cli.main import main
from f2vbench.data.angiograms import RealVideos
from f2vbench.data.index import build_index
from f2vbench.data.task_cards import load_card
from f2vbench.encoders.baselines.angiograms import MeanVideo, StillVideo
from f2vbench.encoders.global_generator import global_generator, initialise
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.model_family import GeneratorShape
from f2vbench.errors import DataError, SettingsError
from f2vbench.metrics.names import STAND_IN_METRIC
from f2vbench.phantom.cohort import Cohort
from f2vbench.phantom.export.folders import write_cohort
from f2vbench.store.runs import RunFolder
from f2vbench.utils.progress import Silent
from tests.helpers.run_folders import check_records, comparable_records
from tests.helpers.true_videos import by_hand, truth

CARD = (
    "name: tiny\ntitle: Tiny\nfamily: generation\nlayout: angiogram_table\nsplit: random\ntest_fraction: 0.67\n"
    "labels: drawn\nsource: simulated\nterms: none\ncitation: none\nobtain: simulate\n"
)
SETTINGS = {"task": "tiny", "seeds": 1, "jobs": 1, "image_size": 64, "decoder": {"crop": 64}}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    write_cohort(folder, Cohort(3, 3, size=64), parts=["video"], jobs=1, progress=Silent())
    return folder


@pytest.fixture(scope="module")
def generators(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("generators")
    for name, inputs, notes in (("video", 6, {}), ("late", 3, {"phase": "late"}), ("plain", 3, {})):
        generator = global_generator(GeneratorShape(inputs, 3, 2))
        initialise(generator, 1)
        state = {f"model.{key}": 4 * value for key, value in generator.state_dict().items()}
        save_file(state, folder / f"{name}.safetensors", {"seen": json.dumps({"enlarge": "1", **notes})})
    return folder


@pytest.fixture(autouse=True)
def card(tmp_path, monkeypatch):
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "tiny.yaml").write_text(CARD)
    monkeypatch.setenv("F2VBENCH_PATH", str(tmp_path / "cards"))


def results_of(out: Path) -> dict[str, dict]:
    """Result of the first seed by model."""
    records = comparable_records(out).values()
    return {record["unit"]["encoder"]: record["result"] for record in records if record["unit"]["seed"] == 0}


@pytest.mark.filterwarnings("ignore:N = 4")
def test_a_run_evaluates_the_frames_that_generate_writes(cohort, generators, tmp_path, capsys):
    video = f"fundus2video:{generators / 'video.safetensors'}"
    frames, out = tmp_path / "made", tmp_path / "run"
    assert main(["generate", str(cohort), f"out={frames}", f"model={video}", "restore=yes", "size=64"]) == 0
    arguments = [
        f"model={video},frames:{frames}",
        f"data={cohort / 'video.csv'}",
        f"out={out}",
        "task=tiny",
        "seeds=1",
        "precision=float32",
    ]
    assert main(["run", *arguments, "image_size=64", "decoder.crop=64", "jobs=1"]) == 0
    output = capsys.readouterr().out
    for part in ("tiny · zero-shot", "lpips ↓", "not on this machine", "not FVD"):
        assert part in output
    check_records(out)
    results = results_of(out)
    assert set(results) == {"fundus2video:video", "frames:made", "still", "still-inverted", "mean-video"}
    precomputed, generated = results["frames:made"], results["fundus2video:video"]
    cases = [entry["case"] for entry in precomputed["maps"].values()]
    assert len(cases) == 4
    real, inside = truth(cohort, cases)
    fake = [
        np.stack([np.array(Image.open(file)) for file in sorted((frames / case).iterdir())]) / 255 for case in cases
    ]
    expected = by_hand(real, fake, inside)
    assert precomputed["metrics"]["psnr"] == pytest.approx(expected["all", "psnr"], abs=1e-4)
    assert precomputed["metrics"]["ssim"] == pytest.approx(expected["all", "ssim"], abs=1e-4)
    assert precomputed["metrics"][STAND_IN_METRIC] == pytest.approx(expected["all", STAND_IN_METRIC], rel=1e-3)
    values = list(precomputed["per_image"].values())
    assert [row["psnr"] for row in values] == pytest.approx([expected[str(n + 1), "psnr"] for n in range(4)], abs=1e-4)
    one = by_hand([v[[7]] for v in real], [v[[7]] for v in fake], inside)
    assert precomputed["metrics"]["psnr_venous"] == pytest.approx(one["all", "psnr"], abs=1e-4)
    for metric in ("psnr", "ssim", "psnr_late", "ssim_arterial"):  # stored in half precision on the way
        assert generated["metrics"][metric] == pytest.approx(precomputed["metrics"][metric], abs=5e-3)
    assert generated["metrics"]["fvd"] is None
    assert "not on this machine" in generated["reasons"]["fvd"]
    strip = RunFolder(out).get_map(next(iter(generated["maps"].values()))["sha256"])
    (tmp_path / "strip.png").write_bytes(strip)
    assert Image.open(tmp_path / "strip.png").size == (12 * 64, 2 * 64)


def test_models_of_one_frame_are_compared_with_the_frame_of_their_phase(cohort, generators, tmp_path):
    models = [f"fundus2fa:{generators / 'late.safetensors'}", f"pix2pixhd:{generators / 'plain.safetensors'}"]
    out = tmp_path / "run"
    Benchmark(**SETTINGS, model=models, baselines="none", data=str(cohort), out=out).run(Silent())
    results = results_of(out)
    for name, phase, at in (("fundus2fa:late", "late", 11), ("pix2pixhd:plain", "venous", 7)):
        result = results[name]
        assert result["frames"] == 1
        assert {metric for metric, value in result["metrics"].items() if value is not None} == {
            f"psnr_{phase}",
            f"ssim_{phase}",
        }
        assert f"one frame, of the {phase} phase" in result["reasons"]["psnr"]
        real, inside = truth(cohort, [entry["case"] for entry in result["maps"].values()])
        for row, video, mask, entry in zip(
            result["per_image"].values(), real, inside, result["maps"].values(), strict=True
        ):
            (tmp_path / "strip.png").write_bytes(RunFolder(out).get_map(entry["sha256"]))
            fake = np.array(Image.open(tmp_path / "strip.png"))[64:] / 255
            error = np.mean((video[at] - fake)[mask] ** 2)
            assert row[f"psnr_{phase}"] == pytest.approx(-10 * np.log10(error), abs=1e-4)


def test_lower_is_better_for_the_metrics_that_a_record_lists():
    def record(encoder: str, seed: int, psnr: float, lpips: float) -> dict:
        unit = {"encoder": encoder, "task": "t", "protocol": "zero-shot", "shots": 0, "seed": seed}
        episode = {"support": [], "test": ["eye"], "seed": seed}
        result = {"episode": episode, "metrics": {"psnr": psnr, "lpips": lpips}, "reasons": {}, "per_image": {}}
        output = {"unit": unit, "family": "generation", "fingerprint": f"{encoder}{seed}", "weights": "w"}
        return {**output, "floor": False, "result": result, "lower_is_better": ["lpips", "fvd"]}

    values = {"a": (20, 0.3), "b": (25, 0.2), "c": (22, 0.1)}
    results = Results([record(n, s, p + s / 7, d + s * s / 99) for n, (p, d) in values.items() for s in (0, 1)])
    summary = results.summary()
    assert list(summary[summary.metric == "psnr"].encoder) == ["b", "c", "a"]
    assert list(summary[summary.metric == "lpips"].encoder) == ["c", "b", "a"]
    assert dict(zip(summary.metric, summary.better, strict=True)) == {"psnr": "higher", "lpips": "lower"}
    compared = results.compare("b").set_index("metric")
    assert dict(compared.best_other) == {"psnr": "c", "lpips": "c"}
    assert compared.difference["lpips"] == pytest.approx(0.1)
    assert results.compare("a").set_index("metric").best_other["lpips"] == "c"


def test_incomplete_precomputed_frames_are_refused_before_the_run(cohort, tmp_path):
    frames = tmp_path / "made"
    cases = sorted(set(pd.read_csv(cohort / "video.csv").pid_eye))
    for case, count in zip(cases[1:], (12, 12, 12, 12, 3), strict=True):
        (frames / case).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(np.full((64, 64), number, np.uint8)).save(frames / case / f"{number:02d}.png")
    with pytest.raises(DataError) as error:
        Benchmark(**SETTINGS, model=f"frames:{frames}", data=str(cohort), out=tmp_path / "run").plan()
    assert f"lacks the cases {cases[0]};" in str(error.value)
    assert f"{cases[-1]} (3)" in str(error.value)
    with pytest.raises(SettingsError, match="there is no folder"):
        parse_model(f"frames:{tmp_path / 'nothing'}")
    before = parse_model(f"frames:{frames}").identity()
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(frames / cases[1] / "03.png")
    assert parse_model(f"frames:{frames}").identity() != before


def test_a_table_in_the_format_of_the_released_code_is_read(cohort, tmp_path):
    """Absolute paths, other names of phases, and fewer or more than four frames of a phase."""
    table = pd.read_csv(cohort / "video.csv")
    table["co_rigid"] = [str(cohort / name) for name in table.co_rigid]
    table["fa_rigid"] = [str(cohort / name) for name in table.fa_rigid]
    table["Phase"] = table.Phase.replace({"arterial": "vascular", "late": "Late"})
    cases = sorted(set(table.pid_eye))
    first = table[table.pid_eye == cases[0]].sort_values("level_1")
    few = table[~table.fa_rigid.isin(first.fa_rigid.iloc[1:4])]
    lacking = few[(few.pid_eye != cases[1]) | (few.Phase != "venous")]
    lacking.to_csv(tmp_path / "mine.csv", index=False)
    index = build_index(load_card("tiny"), tmp_path / "mine.csv")
    assert set(index.case) == set(cases) - {cases[1]}
    assert any(f"{cases[1]}: left out" in note for note in index.attrs["notes"])
    photograph = index[(index.case == cases[0]) & (index.modality == "CF")].image.item()
    frames = RealVideos(index).frames(photograph)
    files = [*[first.fa_rigid.iloc[0]] * 4, *first.fa_rigid.iloc[4:]]
    expected = np.stack([np.array(Image.open(file).convert("L")) for file in files])
    np.testing.assert_array_equal(np.rint(255 * frames), expected)


def test_images_of_a_case_have_to_be_of_one_size(cohort, tmp_path):
    table = pd.read_csv(cohort / "video.csv")
    for column in ("co_rigid", "fa_rigid"):
        table[column] = [str(cohort / name) for name in table[column]]
    Image.open(table.fa_rigid[3]).resize((60, 64)).save(tmp_path / "narrow.png")
    table.loc[3, "fa_rigid"] = "narrow.png"
    table.to_csv(tmp_path / "video.csv", index=False)
    with pytest.raises(DataError, match=rf"case {table.pid_eye[3]}: images differ in size.*narrow.png 60 × 64"):
        Benchmark(**SETTINGS, model="still", data=str(tmp_path), out=tmp_path / "run").plan()


def test_baselines_receive_no_angiogram_of_a_test_patient(cohort, tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    inside = np.zeros((20, 30), bool)
    inside[2:18, 5:25] = True
    still, inverted = (StillVideo(flag).video("", rgb, inside) for flag in (False, True))
    assert still.shape == (12, 20, 30)
    np.testing.assert_array_equal(still[4][inside], rgb[..., 1][inside])
    np.testing.assert_array_equal(inverted[11][inside], 255 - rgb[..., 1][inside])
    assert not still[:, ~inside].any()
    mean = MeanVideo()
    levels = np.linspace(0.1, 0.5, 12, dtype=np.float32)[:, None, None]
    mean.fit(
        [(levels * np.ones((16, 16), np.float32), np.ones((16, 16), bool)), (np.zeros((12, 9, 9)), inside[2:11, 5:14])]
    )
    frames = mean.video("", rgb, np.ones((20, 30), bool))
    np.testing.assert_allclose(frames[:, 10, 15], np.rint(255 * levels[:, 0, 0] / 2), atol=1)
    Benchmark(
        **{**SETTINGS, "seeds": 3}, model="mean-video", baselines="none", data=str(cohort), out=tmp_path / "run"
    ).run(Silent())
    drawn = set()
    for path in (tmp_path / "run" / "units").glob("*.json"):
        episode = json.loads(path.read_bytes())["payload"]["result"]["episode"]
        patients = [{name.split("P")[-1][:5] for name in episode[part]} for part in ("support", "test")]
        assert not patients[0] & patients[1]
        assert (len(patients[0]), len(patients[1])) == (1, 2)
        drawn.add(tuple(episode["test"]))
    assert len(drawn) > 1
