"""Results of a segmentation run: tidy tables, episodes, summaries, and metrics that can be computed again."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file
from sklearn.metrics import roc_auc_score

from f2vbench import Benchmark, Results
from f2vbench.data.square_crop import SquareView
from f2vbench.encoders.global_generator import global_generator
from f2vbench.encoders.model_family import GeneratorShape
from f2vbench.errors import SettingsError, StoreError
from f2vbench.store.score_maps import decode
from f2vbench.utils.progress import Silent
from tests.helpers.run_folders import check_records, comparable_records
from tests.helpers.segmentation_runs import SETTINGS, UNITS


def test_the_frame_is_tidy_and_episodes_are_the_same_for_all_encoders(completed):
    results = Results.load(completed)
    frame = results.frame
    columns = {"encoder", "weights", "task", "protocol", "shots", "seed", "metric", "value", "unit"}
    assert columns <= set(frame.columns)
    assert not frame.duplicated(["encoder", "shots", "seed", "metric"]).any()
    assert set(frame.weights[frame.encoder == "timm:test_resnet:untrained"]) == {"untrained"}
    assert any("untrained" in note for note in results.notes)
    episodes: dict[tuple, set] = {}
    for record in results.records:
        condition = (record["unit"]["shots"], record["unit"]["seed"])
        episode = record["result"]["episode"]
        episodes.setdefault(condition, set()).add(json.dumps(episode))
        assert not set(episode["support"]) & set(episode["test"])
        assert len(episode["support"]) == record["unit"]["shots"]
        assert {"software", "machine", "device", "threads"} <= set(record["provenance"])
    assert all(len(drawn) == 1 for drawn in episodes.values())
    assert len({next(iter(drawn)) for drawn in episodes.values()}) == len(episodes)


def test_records_have_the_keys_of_the_schema(completed):
    check_records(completed)


def test_summary_and_comparison_follow_from_the_frame(completed):
    results = Results.load(completed)
    rows = results.frame[(results.frame.metric == "auroc") & (results.frame.shots == 1)]
    summary = results.summary(["auroc"]).query("shots == 1").set_index("encoder")
    for encoder, group in rows.groupby("encoder"):
        assert summary.loc[encoder, "mean"] == pytest.approx(group.value.mean())
        assert summary.loc[encoder, "sd"] == pytest.approx(group.value.std())
    comparison = results.compare("scratch", ["auroc"]).query("shots == 1").iloc[0]
    means = rows.groupby("encoder").value.mean().drop("scratch")
    assert comparison.best_other == means.idxmax()
    assert comparison.difference == pytest.approx(summary.loc["scratch", "mean"] - means.max())
    with pytest.raises(StoreError, match="did you mean 'scratch'"):
        results.compare("scrath")


def test_metrics_can_be_computed_again_from_stored_score_maps(eyes, completed):
    """The stored score maps alone, with scikit-learn, give the recorded AUROC."""
    record = next(record for name, record in comparable_records(completed).items() if name.startswith("timm"))
    result = record["result"]
    for image, entry in result["maps"].items():
        png = (completed / "maps" / entry["sha256"][:2] / f"{entry['sha256']}.png").read_bytes()
        scores = SquareView(**entry["view"]).restore(decode(png, entry))
        fov, vessels = (np.array(Image.open(eyes / part / f"{image}.png")) > 0 for part in ("fov", "masks"))
        auroc = roc_auc_score(vessels[fov], scores[fov])
        assert result["per_image"][image]["auroc"] == pytest.approx(auroc, abs=1e-12)


def test_zero_shot_and_supervised_units_run_and_others_are_left_out_with_reasons(eyes, tmp_path):
    checkpoint = tmp_path / "venous.safetensors"
    state = global_generator(GeneratorShape(6, 3, 4)).state_dict()
    save_file({f"model.{key}": tensor for key, tensor in state.items()}, checkpoint)  # keys of the official release
    arguments = {
        **SETTINGS,
        "model": [f"fundus2video:{checkpoint}", "timm:test_resnet:untrained"],
        "baselines": ["tophat", "green", "scratch"],
        "shots": [0],
        "protocol": ["zero-shot", "supervised"],
        "seeds": 1,
    }
    left_out = (
        Benchmark(data=str(eyes), out=tmp_path / "run", vessel_score="probability", **arguments).make_plan().left_out
    )
    assert any("fundus2video:venous" in line and "predict no vessels, only frames" in line for line in left_out)
    benchmark = Benchmark(data=str(eyes), out=tmp_path / "run", **arguments)
    plan = benchmark.make_plan()
    assert {line.split(" · ")[0] for line in plan.left_out} == {"timm:test_resnet:untrained", "scratch"}
    assert any(
        "is the mean venous frame of the generated angiogram, mean of eight mirrored" in note for note in plan.notes
    )
    frame = benchmark.run(Silent()).frame
    zero = frame[frame.protocol == "zero-shot"]
    assert set(zero.encoder) == {"fundus2video:venous", "tophat", "green"}
    dice = zero[zero.metric == "dice"].set_index("encoder")
    assert dice.value.notna()["fundus2video:venous"]
    assert dice.loc[["tophat", "green"]].reason.str.contains("no support set").all()
    trained = {"fundus2video:venous", "timm:test_resnet:untrained", "tophat", "green", "scratch"}
    assert set(frame[frame.protocol == "supervised"].encoder) == trained
    assert frame[frame.encoder == "fundus2video:venous"].weights.str.match(r"venous.safetensors@[0-9a-f]{8}").all()


def test_the_plan_is_a_table_of_units(eyes, tmp_path):
    table = Benchmark(data=str(eyes), out=tmp_path / "run", **SETTINGS).plan()
    assert table.units.sum() == UNITS
    assert table.done.sum() == 0
    assert list(table.columns) == ["model", "task", "protocol", "shots", "units", "done", "missing"]


def test_a_smaller_request_returns_its_own_units_and_all_on_request(eyes, completed):
    settings = SETTINGS | {"seeds": 1}
    benchmark = Benchmark(data=str(eyes), out=completed, **settings)
    assert len(benchmark) == UNITS // len(set(Results.load(completed).frame.seed))
    asked = benchmark.run()
    assert len(asked) == len(benchmark)
    assert set(asked.frame.seed) == {0}
    assert len(benchmark.run(whole_folder=True)) == len(benchmark.results()) == UNITS
    assert "out=" in repr(benchmark)
    assert "<table" in benchmark._repr_html_()


def test_results_that_a_call_asked_for_and_that_are_missing_are_counted(completed):
    records = sorted((completed / "units").glob("*.json"))
    assert not any("incomplete" in note for note in Results.load(completed).warnings)
    records[0].unlink()
    assert any(f"1 of {UNITS} units are missing" in note for note in Results.load(completed).warnings)


def test_a_decoder_that_diverges_is_an_error_that_names_the_unit_and_the_setting(eyes, tmp_path):
    settings = SETTINGS | {"model": "timm:test_resnet:untrained", "baselines": "none", "seeds": 1, "shots": 1}
    settings["decoder"] = dict(settings.get("decoder", {})) | {"learning_rate": 1e30}
    with pytest.raises(SettingsError, match=r"seed 0: scores of eye.* smaller decoder\.learning_rate than 1e\+30"):
        Benchmark(data=str(eyes), out=tmp_path / "run", **settings).run()
