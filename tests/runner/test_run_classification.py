"""Runs of classification tasks on a few simulated eyes, from the command line to the table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import average_precision_score, roc_auc_score

from f2vbench import Benchmark, Results, load_encoder
from f2vbench.cli.main import main
from f2vbench.data.task_data import open_task
from f2vbench.errors import DataError, SettingsError, StoreError
from f2vbench.heads.wide_mlp import predict_by_wide_mlp
from f2vbench.runner import scheduling
from f2vbench.runner.context import Context
from f2vbench.runner.engines.local import LocalEngine
from f2vbench.runner.scheduling import make_work_items
from f2vbench.runner.work_items import RunUnits
from f2vbench.store.runs import RunFolder
from f2vbench.utils.progress import Silent
from tests.helpers.commands import use_fork_server
from tests.helpers.patients import MODEL, TINY, write_cards, write_patients
from tests.helpers.run_folders import check_records, comparable_records

OTHER = "timm:test_vit:untrained"


@pytest.fixture(scope="module")
def eyes(tmp_path_factory) -> Path:
    return write_patients(tmp_path_factory.mktemp("eyes"), 24, 25, 1)


@pytest.fixture(autouse=True)
def cards(tmp_path, monkeypatch):
    monkeypatch.setenv("F2VBENCH_PATH", str(write_cards(tmp_path / "cards")))


def test_every_protocol_runs_from_the_command_line_to_the_table(eyes, tmp_path, capsys):
    out = tmp_path / "run"
    arguments = ["task=tiny", f"model={MODEL}", "shots=0,1,4,all", "seeds=2", f"data={eyes}", f"out={out}", "jobs=1"]
    arguments += ["baselines=thumbnail"]
    arguments += [
        f"head.{key}={value}"
        for key, value in {"recipe": "paper", "epochs": 6, "warmup_epochs": 1, "widths": "16"}.items()
    ]
    assert main(["run", *arguments, "protocol=zero-shot,prototype,knn,few-shot,supervised,probe"]) == 0
    output = capsys.readouterr().out
    for part in (
        "few-shot · 4 support images per class",
        "knn · 1 support image per class",
        "chance level in tiny, zero-shot: auroc",
    ):
        assert part in output
    records = comparable_records(out)
    assert len(records) == 2 * 2 * (1 + 3 + 3 + 2 + 1 + 3)
    check_records(out)
    task = open_task("tiny", eyes)
    label = dict(zip(task.index.image, task.index.label == "ill", strict=True))
    for record in records.values():
        result = record["result"]
        stored = RunFolder(out).get_predictions(result["predictions"]["sha256"])
        truth = [label[image] for image in result["episode"]["test"]]
        assert stored["targets"].argmax(axis=1).tolist() == truth
        val = [label[image] for image in result["episode"]["val"]]
        assert stored["validation_targets"].argmax(axis=1).tolist() == val
        assert stored["validation_probabilities"].shape == (len(val), 2)
        assert result["episode"]["columns"] == {
            "eye": [image.rpartition("_")[2] for image in result["episode"]["test"]],
            "age": [str(40 + int(patient[1:])) for patient in result["episode"]["patients"]],
        }
        scores = stored["probabilities"][:, 1].astype(np.float64)
        assert result["metrics"]["auroc"] == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
        assert result["metrics"]["average_precision"] == pytest.approx(
            average_precision_score(truth, scores), abs=1e-12
        )
    support = {
        (record["unit"]["protocol"], record["unit"]["seed"]): tuple(record["result"]["episode"]["support"])
        for record in records.values()
        if record["unit"]["shots"] == 4
    }
    for seed in (0, 1):
        assert len({support[protocol, seed] for protocol in ("prototype", "knn", "few-shot", "probe")}) == 1
        assert sum(label[image] for image in support["few-shot", seed]) == 4
    assert support["few-shot", 0] != support["few-shot", 1]
    frame = Results.load(out).frame
    easy = frame[(frame.protocol == "probe") & frame.shots.isna() & (frame.metric == "auroc")]
    assert easy.value.min() > 0.9, "the classes are easy to distinguish"
    assert main(["report", f"run={out}", "metric=brier", "format=csv", "figures=none"]) == 0
    table = capsys.readouterr().out.split("probe\n")[1].splitlines()[2:4]
    shown = [float(line.split()[3]) for line in table]
    assert shown == sorted(shown), "lower is better, and the best is first"


def test_the_default_head_uses_no_label_but_those_of_the_support_images(eyes, tmp_path):
    arguments = {"task": "tiny", "model": "thumbnail", "shots": [2, "all"], "seeds": 2, "data": str(eyes), "jobs": 1}
    heads = {"protocol": ["few-shot", "supervised"]}
    settings = {**arguments, **heads, "baselines": "thumbnail", "out": tmp_path / "run"}
    Benchmark(**settings).run(Silent())
    records = comparable_records(tmp_path / "run")
    assert {tuple(record["identity"]["settings"]) for record in records.values()} == {("head",)}
    assert all(record["identity"]["settings"]["head"] == {"recipe": "mlp"} for record in records.values())
    assert not any("epoch" in record["result"] for record in records.values())
    index = open_task("tiny", eyes).index
    embeddings = load_encoder("thumbnail").embed([Path(path) for path in index.path])
    pixels = dict(zip(index.image, embeddings, strict=True))
    classes = ("well", "ill")
    label = dict(zip(index.image, index.label, strict=True))
    for record in records.values():
        episode, result = record["result"]["episode"], record["result"]
        assert tuple(result["classes"]) == classes
        support, test = (np.stack([pixels[image] for image in episode[split]]) for split in ("support", "test"))
        targets = np.array([[label[image] == name for name in classes] for image in episode["support"]])
        expected = predict_by_wide_mlp(support, targets, test, multi_label=False)
        stored = RunFolder(tmp_path / "run").get_predictions(result["predictions"]["sha256"])
        np.testing.assert_allclose(stored["probabilities"], expected, atol=1e-5)
    with pytest.raises(StoreError, match=r"results of other data, settings or weights.*head"):
        Benchmark(**settings, head="paper").plan()


def test_workers_shards_and_resumption_do_not_change_results(eyes, tmp_path, monkeypatch):
    use_fork_server(monkeypatch)
    arguments = {**TINY, "model": [MODEL, f"{MODEL}+{OTHER}"], "shots": [2], "seeds": 3, "data": str(eyes)}
    arguments["protocol"] = "few-shot"
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    Benchmark(out=first, jobs=1, **arguments).run(Silent())
    expected = comparable_records(first)
    assert len(expected) == 9
    Benchmark(out=second, jobs=2, **arguments).run(Silent())
    assert comparable_records(second) == expected
    for shard in ("2/2", "1/2"):
        Benchmark(out=third, jobs=1, shard=shard, **arguments).run(Silent())
    assert comparable_records(third) == expected
    for unit in sorted((first / "units").glob("*seed-1*")):
        unit.unlink()
    benchmark = Benchmark(out=first, jobs=1, **arguments)
    assert benchmark.plan().missing.sum() == 3
    benchmark.run(Silent())
    assert comparable_records(first) == expected


def test_each_unit_of_a_stack_is_stored_before_the_next_is_evaluated(eyes, tmp_path, monkeypatch):
    """If the run is interrupted while the third unit of a stack is evaluated, the first two are stored."""
    from f2vbench.adapters import classification

    benchmark = Benchmark(
        **{**TINY, "model": "thumbnail", "protocol": "few-shot"},
        shots=[2],
        seeds=4,
        data=str(eyes),
        out=tmp_path / "run",
        jobs=1,
    )
    complete = classification._complete
    calls: list[int] = []

    def interrupt_third(*args):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return complete(*args)

    monkeypatch.setattr(classification, "_complete", interrupt_third)
    with pytest.raises(KeyboardInterrupt):
        benchmark.run(Silent())
    assert len(comparable_records(tmp_path / "run")) == 2
    monkeypatch.setattr(classification, "_complete", complete)
    assert benchmark.plan().missing.sum() == 2
    benchmark.run(Silent())
    assert len(comparable_records(tmp_path / "run")) == 4


def test_encoders_trained_in_one_stack_give_the_results_of_each_alone(eyes, tmp_path):
    """Two encoders of one width, whose heads train in one stack, and one of another width."""
    models = [OTHER, "timm:test_vit2:untrained", MODEL]
    arguments = {**TINY, "baselines": "none", "shots": [2], "seeds": 3, "data": str(eyes), "jobs": 1}
    arguments["protocol"] = "few-shot"
    Benchmark(**{**arguments, "model": models}, out=tmp_path / "all").run(Silent())
    together = comparable_records(tmp_path / "all")
    assert len(together) == 9
    alone: dict[str, dict] = {}
    for number, model in enumerate(models):
        Benchmark(**{**arguments, "model": model}, out=tmp_path / str(number)).run(Silent())
        alone |= comparable_records(tmp_path / str(number))
    assert together == alone


def test_a_stack_has_all_seeds_of_several_encoders(eyes, tmp_path, monkeypatch):
    protocols = ["zero-shot", "few-shot"]
    benchmark = Benchmark(**TINY, protocol=protocols, shots=[0, 1, 2], seeds=5, data=str(eyes), out=tmp_path / "run")
    plan = benchmark.make_plan()
    context = Context(plan.settings, plan.tasks, plan.models, plan.folder.path)
    sizes = [len(item.units) for item in make_work_items(plan.units, context) if isinstance(item, RunUnits)]
    assert sorted(sizes) == [1] * 10 + [10] * 2, "zero-shot units are alone; both models are in one stack"
    for limit in ({"_UNITS_PER_STACK": 9}, {"_IMAGES_PER_STACK": 100}):
        with monkeypatch.context() as patched:
            for name, value in limit.items():
                patched.setattr(scheduling, name, value)
            sizes = [len(item.units) for item in make_work_items(plan.units, context) if isinstance(item, RunUnits)]
        assert sorted(sizes) == [1] * 10 + [5] * 4, "all seeds of an encoder are in one stack"
    plan.folder.open_for_writing()
    group = next(
        item for item in make_work_items(plan.units, context) if isinstance(item, RunUnits) and len(item.units) == 10
    )
    with plan.folder.claim(group.units[1].name) as of_attention:
        assert of_attention
        ((_, outcome),) = LocalEngine(1).execute(context, [group])
    assert outcome.claimed_elsewhere == 1
    assert len(comparable_records(tmp_path / "run")) == 9


def test_attention_weights_sum_to_one_and_are_reported_by_class(eyes, tmp_path, capsys):
    names = [f"{MODEL}+thumbnail", f"concat:{MODEL}+thumbnail", f"mean:thumbnail+{MODEL}"]
    arguments = {**TINY, "model": names, "baselines": "none", "shots": [0, 2], "seeds": 2, "data": str(eyes)}
    benchmark = Benchmark(out=tmp_path / "run", jobs=1, **arguments)
    assert benchmark.estimate() is not None
    benchmark.run(Silent())
    records = comparable_records(tmp_path / "run")
    assert {record["unit"]["encoder"] for record in records.values()} == set(names)
    for record in records.values():
        result = record["result"]
        stored = RunFolder(tmp_path / "run").get_predictions(result["predictions"]["sha256"])
        assert ("attention" in stored) == (record["unit"]["encoder"] == names[0])
        if "attention" in stored:
            np.testing.assert_allclose(stored["attention"].sum(axis=1), 1, atol=1e-6)
            ill = stored["targets"][:, 1] == 1
            assert list(result["attention"]["ill"]) == [MODEL, "thumbnail"]
            assert result["attention"]["ill"]["thumbnail"] == pytest.approx(
                stored["attention"][ill, 1].mean(), abs=1e-6
            )
    of_attention = [record for record in records.values() if record["unit"]["encoder"] == names[0]]
    few = [record["result"]["attention"]["ill"] for record in of_attention if record["unit"]["shots"] == 2]
    assert main(["report", f"run={tmp_path / 'run'}", "format=csv", "figures=none"]) == 0
    output = capsys.readouterr().out.split("Attention weights of fusions")[1]
    low, high = sorted(weights["thumbnail"] for weights in few)
    assert f"thumbnail {(low + high) / 2:.3f} ± {(high - low) / 2**0.5:.3f}" in output
    table = pd.read_csv(tmp_path / "run" / "attention.csv")
    assert len(table) == 2 * 2 * 2 * 2, "conditions, seeds, classes, encoders"
    for _, weights in table.groupby(["shots", "seed", "class"]).weight:
        assert weights.sum() == pytest.approx(1, abs=1e-6)


def test_impossible_grids_are_refused_before_anything_is_computed(eyes, tmp_path):
    arguments = {**TINY, "data": str(eyes), "out": tmp_path / "run", "seeds": 1}
    with pytest.raises(DataError, match=r"shots=16, .* well has 12"):
        Benchmark(**{**arguments, "shots": [16]}).plan()
    for text, why in (
        (f"{MODEL}+", "joins two"),
        ("concat:thumbnail", "joins two"),
        ("tophat+thumbnail", "no embedding"),
    ):
        with pytest.raises(SettingsError, match=why):
            Benchmark(**{**arguments, "model": text}).plan()
    with pytest.raises(SettingsError, match="occurs twice"):
        Benchmark(**{**arguments, "model": "thumbnail+thumbnail"}).plan()
    plan = Benchmark(**{**arguments, "model": [f"{MODEL}+thumbnail", "sato"]}, protocol=["knn", "few-shot"]).make_plan()
    assert any("a fusion needs a trained head" in line for line in plan.left_out)
    assert any("sato" in line and "no embedding" in line for line in plan.left_out)
    assert not (tmp_path / "run").exists()


def test_heads_trained_on_one_data_set_are_tested_on_another(eyes, tmp_path, capsys):
    far = write_patients(tmp_path / "far-eyes", 14, 25, 2)
    copied = Image.open(next((eyes / "photos").glob("p0_left.png")))
    copied.save(far / "photos" / "p1_left.png")  # a training image among the test images
    arguments = [f"data.tiny={eyes}", f"data.far={far}", f"out={tmp_path / 'run'}", "jobs=1", "baselines=none"]
    arguments += ["train=tiny", "test=far", "model=thumbnail", "shots=2", "seeds=2", "protocol=few-shot,probe"]
    with pytest.raises(SettingsError, match="the test set contains every training image"):
        Benchmark(train="tiny", test="tiny", model="thumbnail", data={"tiny": str(eyes)}).plan()
    assert main(["run", *arguments]) == 0
    output = capsys.readouterr().out
    assert "tiny-to-far · few-shot · 2 support images per class" in output
    assert "1 training image left out, because the test set contains" in output
    records = comparable_records(tmp_path / "run").values()
    for record in records:
        episode = record["result"]["episode"]
        assert len(episode["test"]) == 28
        assert all(image.startswith("far_") for image in episode["test"])
        assert all(image.startswith("tiny_") for image in [*episode["support"], *episode["val"]])
        assert "tiny_photos_p0_left" not in episode["support"]
    benchmark = Benchmark(train="tiny", test="bare", model="thumbnail", data={"tiny": str(eyes), "bare": str(far)})
    with pytest.raises(SettingsError, match="the card of bare has no classes"):
        benchmark.plan()
    with pytest.raises(SettingsError, match="needs both, and no task"):
        Benchmark(train="tiny", task="tiny")
