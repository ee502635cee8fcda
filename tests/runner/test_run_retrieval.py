"""Runs of retrieval tasks on a few simulated eyes, and runs of two task families."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from f2vbench import Benchmark, Results, load_encoder
from f2vbench.adapters.gallery_evaluation import evaluate_gallery
from f2vbench.cli.main import main
from f2vbench.data.field_of_view import field_of_view
from f2vbench.data.square_crop import SquareView
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.registry import IMAGENET_BASELINE
from f2vbench.encoders.weights_argument import why_not_installed
from f2vbench.errors import DataError, SettingsError
from f2vbench.phantom.cohort import Cohort
from f2vbench.phantom.export.folders import write_cohort
from f2vbench.runner.context import Context
from f2vbench.runner.embeddings import StoredEmbeddings
from f2vbench.store.runs import RunFolder
from f2vbench.utils.progress import Silent
from tests.helpers.commands import use_fork_server
from tests.helpers.eyes import write_eyes
from tests.helpers.run_folders import check_records, comparable_records
from tests.helpers.stored_features import stored_entries

MODEL = "timm:test_resnet:untrained"
CARD = (
    "name: {name}\ntitle: Tiny\nfamily: {family}\nlayout: {layout}\nsplit: random\ntest_fraction: 0.67\n"
    "labels: drawn\nsource: simulated\nterms: none\ncitation: none\nobtain: simulate\n"
)
TINY = {"task": "tiny", "model": ["thumbnail", MODEL], "baselines": ["none"], "seeds": 2, "jobs": 1}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    write_cohort(folder, Cohort(3, 3, size=64), parts=["retrieval"], jobs=1, progress=Silent())
    return folder


@pytest.fixture(autouse=True)
def cards(tmp_path, monkeypatch):
    families = {"tiny": ("retrieval", "retrieval_table"), "again": ("retrieval", "retrieval_table")}
    for name, (family, layout) in families.items():
        path = tmp_path / "cards" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(CARD.format(name=name, family=family, layout=layout))
    monkeypatch.setenv("F2VBENCH_PATH", str(tmp_path / "cards"))


def input_squares(cohort: Path, table: pd.DataFrame) -> list[np.ndarray]:
    """Input images of encoders: input_squares around the field of view."""
    cropped = []
    for file in table.image:
        rgb = np.array(Image.open(cohort / file).convert("RGB"))
        view = SquareView.around(field_of_view(rgb))
        cropped.append(view.crop(rgb, view.side))
    return cropped


def test_recall_and_precision_agree_with_scikit_learn(cohort, tmp_path, capsys):
    out = tmp_path / "run"
    arguments = [
        "task=tiny",
        f"model=thumbnail,{MODEL}",
        "baselines=none",
        "seeds=3",
        f"data={cohort}",
        f"out={out}",
        "jobs=1",
        "precision=float32",  # as `embed` outside a run
    ]
    assert main(["run", *arguments]) == 0
    output = capsys.readouterr().out
    assert "tiny · zero-shot" in output
    assert "chance level in tiny, zero-shot: recall@1 0." in output
    assert "no GPU here" not in output
    table = pd.read_csv(cohort / "retrieval.csv", dtype=str)
    table["id"] = [Path(file).with_suffix("").as_posix().replace("/", "_") for file in table.image]
    table = table.sort_values("id", ignore_index=True)
    cropped = input_squares(cohort, table)
    records = comparable_records(out)
    assert len(records) == 6
    check_records(out)
    drawn: dict[int, set] = {}
    for model in ("thumbnail", MODEL):
        vectors = load_encoder(model).embed(cropped)
        for record in (each for each in records.values() if each["unit"]["encoder"] == model):
            result = record["result"]
            drawn.setdefault(record["unit"]["seed"], set()).add(tuple(result["episode"]["test"]))
            rows = np.flatnonzero(table.id.isin(result["gallery"]))
            patients = table.patient.to_numpy()[rows]
            assert len(set(patients)) == 2
            near = NearestNeighbors(n_neighbors=11, metric="cosine", algorithm="brute").fit(vectors[rows])
            found = near.kneighbors(vectors[rows], return_distance=False)
            others = [[p for p in row if p != i][:10] for i, row in enumerate(found)]
            hits = patients[np.array(others)] == patients[:, None]
            for k in (1, 5, 10):
                assert result["metrics"][f"recall@{k}"] == pytest.approx(hits[:, :k].any(axis=1).mean(), abs=1e-12)
                assert result["metrics"][f"precision@{k}"] == pytest.approx(hits[:, :k].mean(), abs=1e-12)
            stored = RunFolder(out).get_predictions(result["predictions"]["sha256"])
            assert stored["found"].shape == (len(rows), 10)
    assert [len(galleries) for galleries in drawn.values()] == [1] * 3, "models have different galleries"
    assert len(set.union(*drawn.values())) > 1, "all seeds have the same gallery"
    assert main(["report", f"run={out}", "metric=map,precision@5", "format=csv", "figures=none"]) == 0
    assert "precision@5: mean" in capsys.readouterr().out


def test_workers_resumption_and_damage_do_not_change_results(cohort, tmp_path, monkeypatch):
    use_fork_server(monkeypatch)
    first, second = tmp_path / "first", tmp_path / "second"
    Benchmark(data=str(cohort), out=first, **TINY).run(Silent())
    expected = comparable_records(first)
    Benchmark(data=str(cohort), out=second, **{**TINY, "jobs": 2}).run(Silent())
    assert comparable_records(second) == expected
    deleted = next((first / "units").glob("*.json"))
    deleted.unlink()
    damaged_file = next((first / "predictions").rglob("*.safetensors"))
    damaged = {
        name for name, records in expected.items() if records["result"]["predictions"]["sha256"] == damaged_file.stem
    }
    damaged_file.write_bytes(damaged_file.read_bytes()[:-5])
    features = sorted((tmp_path / "cache" / "features").rglob("*.safetensors"))
    features[0].write_bytes(features[0].read_bytes()[:-3])
    benchmark = Benchmark(data=str(cohort), out=first, **TINY)
    assert benchmark.plan().missing.sum() == len(damaged | {deleted.name})
    results = benchmark.run(Silent())
    assert comparable_records(first) == expected
    assert not [path for path in features[1:] if path.stat().st_mtime > damaged_file.stat().st_mtime], (
        "features were computed again"
    )
    assert set(results.frame.shots) == {0}


def test_variants_and_principal_components_agree_with_scikit_learn(cohort, tmp_path):
    """Components are fitted on patients outside the gallery; metrics of variants are added to the others."""
    arguments = {**TINY, "model": "thumbnail", "seeds": 1, "data": str(cohort)}
    run = Benchmark(**arguments, pca=3, variant="cross-modal,other-view", out=tmp_path / "pca")
    frame = run.run(Silent()).frame.set_index("metric").value
    task = run.make_plan().tasks["tiny"]
    gallery = task.episode("zero-shot", 0, 0).test
    index = task.index.set_index("image", drop=False)
    outside = index[~index.image.isin(gallery)]
    load = load_encoder("thumbnail")
    vectors = [
        (lambda v: v / np.linalg.norm(v, axis=1, keepdims=True))(
            load.embed(input_squares(cohort, pd.DataFrame({"image": rows.path}))).astype(float)
        )
        for rows in (index.loc[list(gallery)], outside)
    ]
    fitted = PCA(3).fit(vectors[1])
    rows = index.loc[list(gallery)]
    about = {"modality": rows.modality.to_numpy(str), "view": rows.view.to_numpy(str)}
    patients = rows.patient.to_numpy(str)
    expected = evaluate_gallery(
        fitted.transform(vectors[0]), patients, list(gallery), about, ["cross-modal", "other-view"]
    )
    for name, value in expected.metrics.items():
        assert frame[name] == pytest.approx(value, abs=1e-9), name
    assert "recall@1:cross-modal_chance" in frame
    with pytest.raises(DataError, match="pca=500, but the 12 images of patients outside"):
        Benchmark(**arguments, pca=500, out=tmp_path / "large").run(Silent())
    with pytest.raises(SettingsError, match="index=Flit: not a FAISS factory string"):
        Benchmark(**arguments, index="Flit", out=tmp_path / "index").plan()
    with pytest.raises(DataError, match="IVF500,Flat: FAISS cannot index 24 embeddings"):
        Benchmark(**arguments, index="IVF500,Flat", out=tmp_path / "index").run(Silent())


def test_embeddings_are_shared_between_tasks_and_readers_can_be_pickled(cohort, tmp_path):
    Benchmark(data=str(cohort), out=tmp_path / "one", **TINY).run(Silent())
    stored = stored_entries()
    benchmark = Benchmark(data=str(cohort), out=tmp_path / "two", **{**TINY, "task": "again"})
    found = benchmark.estimate()
    assert found is not None
    plan = benchmark.make_plan()
    benchmark.run(Silent())
    wanted = {image for unit in plan.units for image in plan.tasks["again"].episode("zero-shot", 0, unit.seed).test}
    now = stored_entries()
    assert {entry: place for entry, place in now.items() if entry in stored} == stored
    assert len(now) <= 2 * 36
    context = Context(plan.settings, plan.tasks, plan.models, plan.folder.path)
    names = sorted(wanted)[::-1]
    for model in ("thumbnail", MODEL):
        load = pickle.loads(pickle.dumps(StoredEmbeddings(context, model, "again")))
        vectors = load(names)
        assert vectors.dtype == np.float32
        assert vectors.shape == (len(names), load_encoder(model).embed([np.zeros((64, 64, 3), np.uint8)]).shape[1])
        np.testing.assert_array_equal(load(names[3:5]), vectors[3:5])


def test_exact_duplicates_are_neither_queries_nor_hits(cohort, tmp_path):
    """The same pixels under another name, of the same patient, change no metric."""
    data = tmp_path / "data"
    shutil.copytree(cohort, data)
    table = pd.read_csv(data / "retrieval.csv", dtype=str)
    copied = table.assign(image=[f"copies/{Path(file).as_posix().replace('/', '_')}" for file in table.image])
    (data / "copies").mkdir()
    for old, new in zip(table.image, copied.image, strict=True):
        Image.open(data / old).save(data / Path(new).with_suffix(".tiff"))
    copied["image"] = [str(Path(file).with_suffix(".tiff")) for file in copied.image]
    arguments = {**TINY, "model": "thumbnail"}
    without = Benchmark(data=str(data), out=tmp_path / "without", **arguments).run(Silent())
    pd.concat([table, copied]).to_csv(data / "retrieval.csv", index=False)
    doubled = Benchmark(data=str(data), out=tmp_path / "doubled", **arguments).run(Silent())
    assert without.frame.value.tolist() == pytest.approx(doubled.frame.value.tolist())
    assert {r["result"]["counts"]["copies left out"] for r in comparable_records(tmp_path / "doubled").values()} == {24}


def test_galleries_that_are_too_small_are_refused(cohort, tmp_path):
    table = pd.read_csv(cohort / "retrieval.csv", dtype=str)
    cases = {
        "1 patient": table[table.patient == table.patient[0]],
        "more than 10 different images": table.groupby("patient").head(3),
    }
    for message, rows in cases.items():
        data = tmp_path / message.replace(" ", "-")
        shutil.copytree(cohort, data)
        rows.to_csv(data / "retrieval.csv", index=False)
        with pytest.raises(DataError, match=message):
            Benchmark(data=str(data), out=tmp_path / "run", **TINY).plan()
    table.drop(columns="patient").to_csv(data / "retrieval.csv", index=False)
    with pytest.raises(SettingsError, match="column patient not found"):
        Benchmark(data=str(data), out=tmp_path / "run", **TINY).plan()
    assert not (tmp_path / "run").exists()


def test_each_task_family_has_its_own_baselines_and_protocols(cohort, tmp_path):
    eyes = write_eyes(tmp_path / "eyes", 4)
    arguments = {
        "task": ["folder", "tiny"],
        "model": MODEL,
        "shots": [0, 1],
        "seeds": 1,
        "data": {"folder": str(eyes), "tiny": str(cohort)},
        "out": tmp_path / "run",
    }
    plan = Benchmark(**arguments).make_plan()
    of_task = {name: {u.encoder for u in plan.units if u.task == name} for name in plan.tasks}
    assert of_task["tiny"] - {IMAGENET_BASELINE} == {MODEL, "thumbnail", "colour", "random"}
    assert (IMAGENET_BASELINE in of_task["tiny"]) == (why_not_installed(IMAGENET_BASELINE) == "")
    assert of_task["folder"] == {MODEL, "tophat", "frangi", "sato", "green", "scratch"}
    assert not any("thumbnail" in line for line in plan.left_out)
    explicit = Benchmark(**{**arguments, "model": ["tophat", "thumbnail"], "baselines": "none"}).make_plan()
    assert any("tophat · zero-shot: has no embedding" in line for line in explicit.left_out)
    assert any("thumbnail" in line and "no feature maps" in line for line in explicit.left_out)
    with pytest.raises(SettingsError, match="retrieval supports only protocol=zero-shot"):
        Benchmark(**{**arguments, "task": "tiny", "data": str(cohort), "protocol": "few-shot"}).plan()


def test_a_run_without_the_imagenet_extra_says_that_the_baseline_is_left_out(cohort, tmp_path, monkeypatch):
    monkeypatch.setattr("f2vbench.pretrained.weights_files.files_in_package", lambda package, file: [])
    run = {"data": str(cohort), "out": tmp_path / "run", **TINY}
    plan = Benchmark(**{**run, "baselines": "all"}).make_plan()
    assert IMAGENET_BASELINE not in plan.models
    note = next(note for note in plan.notes if IMAGENET_BASELINE in note)
    assert note.startswith("the baseline imagenet-lite0 is left out")
    assert 'pip install "f2vbench[imagenet]"' in note
    with pytest.raises(SettingsError, match="pip install"):
        Benchmark(**{**run, "baselines": IMAGENET_BASELINE}).make_plan()
    for others in ("none", "thumbnail"):
        notes = Benchmark(**{**run, "baselines": others}).make_plan().notes
        assert not any(IMAGENET_BASELINE in note for note in notes)


def test_a_run_of_two_task_families_prints_the_main_metrics_of_each(cohort, tmp_path, capsys):
    eyes, out = write_eyes(tmp_path / "eyes", 4), tmp_path / "run"
    data = [f"data.folder={eyes}", f"data.tiny={cohort}", f"out={out}", "jobs=1"]
    arguments = ["task=folder,tiny", "model=green,thumbnail", "baselines=none", "shots=1", "seeds=1", *data]
    assert main(["run", *arguments]) == 0
    output = capsys.readouterr().out
    for part in ("folder · few-shot", "dice: mean", "tiny · zero-shot", "recall@10: mean", "mean_recall: mean"):
        assert part in output
    assert Results.load(out).families == {"folder": "segmentation", "tiny": "retrieval"}
    assert main(["list", "tasks"]) == 0
    listed = capsys.readouterr().out
    assert "retrieval: zero-shot" in listed
    assert "classification: zero-shot, prototype, knn" in listed


def test_the_thumbnail_baseline_averages_pixel_blocks_and_needs_no_weights():
    spec = parse_model("thumbnail")
    assert (spec.kind, spec.is_baseline, spec.weights_label) == ("vector", True, "none")
    image = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    vector = load_encoder("thumbnail").embed([image, image[:64, :64]])[0]
    blocks = image.reshape(32, 3, 32, 3, 3).mean(axis=(1, 3)) / 255
    np.testing.assert_allclose(vector.reshape(32, 32, 3), blocks, atol=0.51 / 255)
    with pytest.raises(DataError, match="image 1"):
        load_encoder("thumbnail").embed([image, image[..., 0]])
