"""Classification from the command line to the table, on a few simulated eyes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import average_precision_score, roc_auc_score

from f2vbench import Benchmark, Results
from f2vbench.cli.main import main
from f2vbench.data.task_data import open_task
from f2vbench.errors import DataError, SettingsError
from f2vbench.runner import scheduling
from f2vbench.runner.context import Context
from f2vbench.runner.executor import execute
from f2vbench.runner.scheduling import make_work_items
from f2vbench.runner.work_items import Solve
from f2vbench.store.runs import RunFolder
from f2vbench.utils.progress import Silent
from tests.helpers.patients import MODEL, TINY, write_cards, write_patients

OTHER = "timm:test_vit:untrained"


@pytest.fixture(scope="module")
def eyes(tmp_path_factory) -> Path:
    return write_patients(tmp_path_factory.mktemp("eyes"), 24, 25, 1)


@pytest.fixture(autouse=True)
def cards(tmp_path, monkeypatch):
    monkeypatch.setenv("F2VBENCH_PATH", str(write_cards(tmp_path / "cards")))


def records(out: Path) -> dict[str, dict]:
    """What units hold, without what differs between runs: timing and provenance."""
    kept = ("unit", "family", "fingerprint", "identity", "result", "weights", "floor")
    held = {path.name: json.loads(path.read_bytes())["payload"] for path in (out / "units").glob("*.json")}
    return {name: {key: record[key] for key in kept} for name, record in sorted(held.items())}


def test_every_protocol_from_the_command_line_to_the_table(eyes, tmp_path, capsys):
    out = tmp_path / "run"
    words = ["task=tiny", f"model={MODEL}", "shots=0,1,4,all", "seeds=2", f"data={eyes}", f"out={out}", "jobs=1"]
    words += ["baselines=thumbnail"]
    words += [f"head.{key}={value}" for key, value in {"epochs": 6, "warmup_epochs": 1, "widths": "16"}.items()]
    assert main(["run", *words, "protocol=zero-shot,prototype,knn,few-shot,supervised,probe"]) == 0
    told = capsys.readouterr().out
    for part in (
        "few-shot · 4 support images per class",
        "knn · 1 support image per class",
        "chance level in tiny, zero-shot: auroc",
    ):
        assert part in told
    held = records(out)
    assert len(held) == 2 * 2 * (1 + 3 + 3 + 2 + 1 + 3)
    task = open_task("tiny", eyes)
    label = dict(zip(task.index.image, task.index.label == "ill", strict=True))
    for record in held.values():
        result = record["result"]
        kept = RunFolder(out).get_predictions(result["predictions"]["sha256"])
        truth = [label[image] for image in result["episode"]["test"]]
        assert kept["targets"].argmax(axis=1).tolist() == truth
        scores = kept["probabilities"][:, 1].astype(np.float64)
        assert result["metrics"]["auroc"] == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
        assert result["metrics"]["average_precision"] == pytest.approx(
            average_precision_score(truth, scores), abs=1e-12
        )
    support = {
        (record["unit"]["protocol"], record["unit"]["seed"]): tuple(record["result"]["episode"]["support"])
        for record in held.values()
        if record["unit"]["shots"] == 4
    }
    for seed in (0, 1):
        assert len({support[protocol, seed] for protocol in ("prototype", "knn", "few-shot", "probe")}) == 1
        assert sum(label[image] for image in support["few-shot", seed]) == 4
    assert support["few-shot", 0] != support["few-shot", 1]
    frame = Results.load(out).frame
    easy = frame[(frame.protocol == "probe") & frame.shots.isna() & (frame.metric == "auroc")]
    assert easy.value.min() > 0.9, "the two classes differ plainly"
    assert main(["report", f"run={out}", "metric=brier"]) == 0
    table = capsys.readouterr().out.split("probe\n")[1].splitlines()[2:4]
    shown = [float(line.split()[3]) for line in table]
    assert shown == sorted(shown), "less is better, and the best stands first"


def test_workers_order_and_resumption_change_nothing(eyes, tmp_path):
    words = {**TINY, "model": [MODEL, f"{MODEL}+{OTHER}"], "shots": [2], "seeds": 3, "data": str(eyes)}
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    Benchmark(out=first, jobs=1, **words).run(Silent())
    expected = records(first)
    assert len(expected) == 9
    Benchmark(out=second, jobs=2, **words).run(Silent())
    assert records(second) == expected
    for shard in ("1/4", "2/4", "3/4", "4/4"):
        Benchmark(out=third, jobs=1, shard=shard, **words).run(Silent())
    assert records(third) == expected
    for victim in sorted((first / "units").glob("*seed-1*")):
        victim.unlink()
    bench = Benchmark(out=first, jobs=1, **words)
    assert bench.plan().missing.sum() == 3
    bench.run(Silent())
    assert records(first) == expected


def test_a_unit_of_a_stack_is_recorded_before_the_next_is_measured(eyes, tmp_path, monkeypatch):
    """Killed while the third unit of a stack is measured, the first two are there."""
    from f2vbench.adapters import classification

    bench = Benchmark(
        **{**TINY, "model": "thumbnail"}, shots=[2], seeds=4, data=str(eyes), out=tmp_path / "run", jobs=1
    )
    measured = classification._measured
    calls: list[int] = []

    def dying(*given):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return measured(*given)

    monkeypatch.setattr(classification, "_measured", dying)
    with pytest.raises(KeyboardInterrupt):
        bench.run(Silent())
    assert len(records(tmp_path / "run")) == 2
    monkeypatch.setattr(classification, "_measured", measured)
    assert bench.plan().missing.sum() == 2
    bench.run(Silent())
    assert len(records(tmp_path / "run")) == 4


def test_encoders_stacked_together_end_as_each_does_alone(eyes, tmp_path):
    """Two of one width, whose heads train as one stack, and one of another."""
    models = [OTHER, "timm:test_vit2:untrained", MODEL]
    words = {**TINY, "baselines": "none", "shots": [2], "seeds": 3, "data": str(eyes), "jobs": 1}
    Benchmark(**{**words, "model": models}, out=tmp_path / "all").run(Silent())
    together = records(tmp_path / "all")
    assert len(together) == 9
    alone: dict[str, dict] = {}
    for number, model in enumerate(models):
        Benchmark(**{**words, "model": model}, out=tmp_path / str(number)).run(Silent())
        alone |= records(tmp_path / str(number))
    assert together == alone


def test_a_stack_is_one_item_of_all_seeds_and_encoders(eyes, tmp_path, monkeypatch):
    bench = Benchmark(**TINY, shots=[0, 1, 2], seeds=5, data=str(eyes), out=tmp_path / "run")
    plan = bench.make_plan()
    context = Context(plan.settings, plan.tasks, plan.models, plan.folder.path)
    sizes = [len(item.units) for item in make_work_items(plan.units, context) if isinstance(item, Solve)]
    assert sorted(sizes) == [1] * 10 + [10] * 2, "zero-shot trains nothing; the model and its baseline go together"
    for limit in ({"_UNITS_PER_STACK": 9}, {"_IMAGES_PER_STACK": 100}):
        with monkeypatch.context() as patched:
            for name, value in limit.items():
                patched.setattr(scheduling, name, value)
            sizes = [len(item.units) for item in make_work_items(plan.units, context) if isinstance(item, Solve)]
        assert sorted(sizes) == [1] * 10 + [5] * 4, "the seeds of one encoder always"
    plan.folder.open_for_writing()
    group = next(
        item for item in make_work_items(plan.units, context) if isinstance(item, Solve) and len(item.units) == 10
    )
    with plan.folder.claim(group.units[1].name) as mine:
        assert mine
        ((_, outcome),) = execute(context, [group], jobs=1)
    assert outcome.claimed_elsewhere == 1
    assert len(records(tmp_path / "run")) == 9


def test_attention_adds_up_and_is_told_by_class(eyes, tmp_path, capsys):
    names = [f"{MODEL}+thumbnail", f"concat:{MODEL}+thumbnail", f"mean:thumbnail+{MODEL}"]
    words = {**TINY, "model": names, "baselines": "none", "shots": [0, 2], "seeds": 2, "data": str(eyes)}
    bench = Benchmark(out=tmp_path / "run", jobs=1, **words)
    assert bench.estimate(rehearse=True) is not None
    bench.run(Silent())
    held = records(tmp_path / "run")
    assert {record["unit"]["encoder"] for record in held.values()} == set(names)
    for record in held.values():
        result = record["result"]
        kept = RunFolder(tmp_path / "run").get_predictions(result["predictions"]["sha256"])
        assert ("attention" in kept) == (record["unit"]["encoder"] == names[0])
        if "attention" in kept:
            np.testing.assert_allclose(kept["attention"].sum(axis=1), 1, atol=1e-6)
            ill = kept["targets"][:, 1] == 1
            assert list(result["attention"]["ill"]) == [MODEL, "thumbnail"]
            assert result["attention"]["ill"]["thumbnail"] == pytest.approx(kept["attention"][ill, 1].mean(), abs=1e-6)
    mine = [record for record in held.values() if record["unit"]["encoder"] == names[0]]
    few = [record["result"]["attention"]["ill"] for record in mine if record["unit"]["shots"] == 2]
    assert main(["report", f"run={tmp_path / 'run'}"]) == 0
    told = capsys.readouterr().out.split("Attention of fusions")[1]
    low, high = sorted(weights["thumbnail"] for weights in few)
    assert f"thumbnail {(low + high) / 2:.3f} ± {(high - low) / 2**0.5:.3f}" in told
    table = pd.read_csv(tmp_path / "run" / "attention.csv")
    assert len(table) == 2 * 2 * 2 * 2, "places, seeds, classes, encoders"
    for _, weights in table.groupby(["shots", "seed", "class"]).weight:
        assert weights.sum() == pytest.approx(1, abs=1e-6)


def test_what_makes_no_sense_is_refused_before_anything_is_computed(eyes, tmp_path):
    words = {**TINY, "data": str(eyes), "out": tmp_path / "run", "seeds": 1}
    with pytest.raises(DataError, match=r"shots=16, .* well has 12"):
        Benchmark(**{**words, "shots": [16]}).plan()
    for text, why in (
        (f"{MODEL}+", "joins two"),
        ("concat:thumbnail", "joins two"),
        ("tophat+thumbnail", "no embedding"),
    ):
        with pytest.raises(SettingsError, match=why):
            Benchmark(**{**words, "model": text}).plan()
    with pytest.raises(SettingsError, match="occurs twice"):
        Benchmark(**{**words, "model": "thumbnail+thumbnail"}).plan()
    plan = Benchmark(**{**words, "model": [f"{MODEL}+thumbnail", "sato"]}, protocol=["knn", "few-shot"]).make_plan()
    assert any("a fusion needs a trained head" in line for line in plan.left_out)
    assert any("sato" in line and "no embedding" in line for line in plan.left_out)
    assert not (tmp_path / "run").exists()


def test_heads_of_one_data_set_are_tested_on_others(eyes, tmp_path, capsys):
    far = write_patients(tmp_path / "far-eyes", 14, 25, 2)
    copied = Image.open(next((eyes / "photos").glob("p0_left.png")))
    copied.save(far / "photos" / "p1_left.png")  # a training image among the test images
    data = [f"data.tiny={eyes}", f"data.far={far}", f"out={tmp_path / 'run'}", "jobs=1", "baselines=none"]
    words = ["train=tiny", "test=far,tiny", "model=thumbnail", "shots=2", "seeds=2", "protocol=few-shot,probe", *data]
    with pytest.raises(SettingsError, match="the test set contains every training image"):
        Benchmark(train="tiny", test="tiny", model="thumbnail", data={"tiny": str(eyes)}).plan()
    assert main(["run", *(word.replace("far,tiny", "far") for word in words)]) == 0
    told = capsys.readouterr().out
    assert "tiny-to-far · few-shot · 2 support images per class" in told
    assert "1 training image left out, because the test set contains" in told
    held = records(tmp_path / "run").values()
    for record in held:
        episode = record["result"]["episode"]
        assert len(episode["test"]) == 28
        assert all(image.startswith("far_") for image in episode["test"])
        assert all(image.startswith("tiny_") for image in [*episode["support"], *episode["val"]])
        assert "tiny_photos_p0_left" not in episode["support"]
    bench = Benchmark(train="tiny", test="bare", model="thumbnail", data={"tiny": str(eyes), "bare": str(far)})
    with pytest.raises(SettingsError, match="bare declares no classes"):
        bench.plan()
    with pytest.raises(SettingsError, match="needs both, and no task"):
        Benchmark(train="tiny", task="tiny")
