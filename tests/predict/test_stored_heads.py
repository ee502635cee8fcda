"""Stored heads: from a run to predictions of other photographs, with their uncertainty."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors.numpy import load, save_file
from scipy.stats import entropy

from f2vbench import Benchmark, load_head
from f2vbench.adapters.stored_head import HeadFacts, StoredHead, TrainedHead, head_block, read_head
from f2vbench.app import markup
from f2vbench.app.predictions import ShownPrediction, StoredPredictions
from f2vbench.app.uploads import as_photograph
from f2vbench.cli.main import main
from f2vbench.data.label_classes import SEPARATOR
from f2vbench.encoders.spec import ModelSpec
from f2vbench.errors import DataError, SettingsError, StoreError
from f2vbench.metrics.survival import time_grid
from f2vbench.predict.encoder import find_encoder
from f2vbench.predict.head_ensemble import HeadEnsemble
from f2vbench.store.runs import RunFolder
from f2vbench.utils.progress import Silent
from tests.adapters.test_regression_and_survival import Context
from tests.helpers.patients import MODEL, write_cards, write_patients
from tests.helpers.run_folders import comparable_records

SEEDS = 3


@pytest.fixture(scope="module")
def eyes(tmp_path_factory) -> Path:
    return write_patients(tmp_path_factory.mktemp("heads"), 24, 25, 1)


@pytest.fixture(scope="module")
def run(eyes, tmp_path_factory) -> Path:
    """A run with the heads of two recipes of both encoders."""
    folder = tmp_path_factory.mktemp("heads-run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("F2VBENCH_PATH", str(write_cards(folder / "cards")))
        _benchmark(eyes, folder / "run", keep_heads=True).run(Silent())
        _benchmark(eyes, folder / "paper", keep_heads=True, head=_PAPER).run(Silent())
    return folder


_PAPER = {"recipe": "paper", "epochs": 4, "warmup_epochs": 1, "widths": [16, 8]}


def _benchmark(eyes: Path, out: Path, **settings) -> Benchmark:
    options = {"task": "tiny", "model": ["thumbnail", MODEL], "baselines": "none", "shots": [4], "seeds": SEEDS}
    return Benchmark(data=str(eyes), out=out, jobs=1, device="cpu", protocol="few-shot", **{**options, **settings})


def _condition(run: Path, encoder: str, kind: str = "run") -> Path:
    return run / kind / "heads" / f"{encoder.replace(':', '-')}.tiny.few-shot-4"


@pytest.mark.parametrize("encoder", ["thumbnail", MODEL])
@pytest.mark.parametrize("kind", ["run", "paper"])
def test_heads_repeat_the_predictions_of_their_run(run, eyes, encoder, kind):
    heads = load_head(_condition(run, encoder, kind))
    table = heads.predict(eyes / "photos", device="cpu", jobs=1).set_index("image")
    folder = RunFolder(run / kind)
    outputs = {}
    for record in folder.records():
        if record["unit"]["encoder"] == encoder:
            stored = folder.get_predictions(record["result"]["predictions"]["sha256"])["probabilities"]
            images = [f"{name.removeprefix('photos_')}.png" for name in record["result"]["images"]]
            outputs[record["unit"]["seed"]] = pd.DataFrame(stored, index=images)
    assert len(outputs) == len(heads.heads) == SEEDS
    expected = np.stack([outputs[seed] for seed in range(SEEDS)]).astype(np.float64)
    found = table.loc[outputs[0].index]
    columns = ["probability:well", "probability:ill"]
    np.testing.assert_allclose(found[columns], expected.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found[["sd:well", "sd:ill"]], expected.std(axis=0, ddof=1), atol=1e-6)
    np.testing.assert_allclose(found.entropy, entropy(expected.mean(axis=0), base=2, axis=1), atol=1e-5)
    assert (found.prediction == np.array(["well", "ill"])[expected.mean(axis=0).argmax(axis=1)]).all()


def test_keeping_heads_changes_no_result_and_runs_only_units_without_a_head(run, eyes, tmp_path, monkeypatch):
    monkeypatch.setenv("F2VBENCH_PATH", str(run / "cards"))
    out = tmp_path / "run"
    _benchmark(eyes, out).run(Silent())
    assert not (out / "heads").exists()
    assert comparable_records(out) == comparable_records(run / "run")
    assert not _benchmark(eyes, out).make_plan().missing
    again = _benchmark(eyes, out, keep_heads=True)
    assert len(again.make_plan().missing) == 2 * SEEDS
    assert "6 of 6 units train a head, which is stored" in " ".join(again.make_plan().notes)
    again.run(Silent())
    assert comparable_records(out) == comparable_records(run / "run")
    (_condition(tmp_path, "thumbnail") / "seed-1.safetensors").unlink()
    other = _condition(tmp_path, "thumbnail") / "seed-2.safetensors"
    shutil.copy(_condition(run, "thumbnail", "paper") / "seed-2.safetensors", other)
    first = _condition(tmp_path, "thumbnail") / "seed-0.safetensors"
    first.write_bytes(first.read_bytes()[:-1] + b"?")
    assert [unit.seed for unit in _benchmark(eyes, out, keep_heads=True).make_plan().missing] == [0, 1, 2]


def test_a_unit_takes_its_head_into_another_run_folder(run, tmp_path):
    source, target = RunFolder(run / "run"), RunFolder(tmp_path / "run")
    target.open_for_writing()
    for path in sorted((source.path / "units").glob("thumbnail*.json")):
        target.put_unit(source.take_unit(path.stem))
    moved = load_head(_condition(tmp_path, "thumbnail"))
    assert [head.facts for head in moved.heads] == [
        head.facts for head in load_head(_condition(run, "thumbnail")).heads
    ]


def test_the_command_writes_a_table_and_lists_unreadable_photographs(run, eyes, tmp_path, capsys):
    photos = tmp_path / "photos" / "inner"
    photos.mkdir(parents=True)
    for name in ("p0_left", "p1_left"):
        shutil.copy(eyes / "photos" / f"{name}.png", photos)
    shutil.copy(photos / "p0_left.png", photos.parent / "copy.png")
    (photos / "text.png").write_text("no image")
    out = tmp_path / "table.csv"
    arguments = ["predict", str(_condition(run, "thumbnail")), f"images={photos.parent}", f"out={out}", "jobs=1"]
    assert main(arguments) == 0
    table = pd.read_csv(out)
    assert list(table.image) == ["copy.png", "inner/p0_left.png", "inner/p1_left.png"]
    assert table.iloc[0, 1:].tolist() == table.iloc[1, 1:].tolist()
    output = capsys.readouterr().out
    for text in ("Not for clinical use.", "1 image left out", "3 heads", "4 support images per class"):
        assert text in output
    assert main(arguments) == 0  # its own table is replaced
    out.write_text("mine\n")
    assert main(arguments) == 2
    assert out.read_text() == "mine\n"
    one = ["predict", f"{_condition(run, 'thumbnail')}/seed-0.safetensors", f"images={photos}/p0_left.png"]
    assert main([*one, f"out={tmp_path / 'one.csv'}"]) == 0
    assert [name for name in pd.read_csv(tmp_path / "one.csv") if name.startswith("sd")] == []
    assert "is not known" in capsys.readouterr().out


def test_heads_of_other_weights_are_refused(run, eyes, tmp_path):
    heads = load_head(_condition(run, MODEL))
    (first, *_) = heads.heads
    facts = first.facts.model_copy(update={"weights_sha256": "0" * 64})
    other = HeadEnsemble((StoredHead(first.path, facts, first.arrays),))
    with pytest.raises(StoreError, match="with other weights"):
        other.predict(eyes / "photos", device="cpu")
    identity = {**first.facts.identity, "preprocessing": 0}
    with pytest.raises(StoreError, match="preprocessing"):
        find_encoder(first.facts.model_copy(update={"identity": identity}))
    with pytest.raises(StoreError, match="another encoder"):
        find_encoder(first.facts, model="thumbnail")
    baseline = load_head(_condition(run, "thumbnail")).heads[0].facts
    with pytest.raises(SettingsError, match="thumbnail takes no weights; leave weights= out"):
        find_encoder(baseline, weights="nowhere.pth")
    gone = {**first.facts.spec, "weights": str(tmp_path / "gone.pth")}
    with pytest.raises(StoreError, match="are not found"):
        find_encoder(first.facts.model_copy(update={"spec": gone, "encoder": "timm:test_resnet:gone.pth"}))
    with pytest.raises(StoreError, match="width"):
        heads.predict_embeddings(np.zeros((2, 3), np.float32))


def test_files_that_are_no_heads_of_one_condition_are_refused(run, tmp_path):
    with pytest.raises(StoreError, match="several conditions"):
        load_head(run / "run")
    with pytest.raises(StoreError, match="in encoder, weights of the encoder, and"):
        load_head([_condition(run, name) / "seed-0.safetensors" for name in ("thumbnail", MODEL)])
    with pytest.raises(StoreError, match="method"):
        load_head([_condition(run, MODEL, kind) / "seed-0.safetensors" for kind in ("run", "paper")])
    with pytest.raises(StoreError, match="has no stored heads"):
        load_head(tmp_path)
    with pytest.raises(StoreError, match="no such head"):
        load_head(tmp_path / "none.safetensors")
    file = _condition(run, "thumbnail") / "seed-0.safetensors"
    copy = tmp_path / "head.safetensors"
    copy.write_bytes(file.read_bytes())
    with pytest.raises(StoreError, match="same seed"):
        load_head([file, copy])
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    copy.write_bytes(content)
    with pytest.raises(StoreError, match="checksum"):
        load_head(copy)
    with_swapped_classes = file.read_bytes().replace(rb"[\"well\",\"ill\"]", rb"[\"ill\",\"well\"]")
    assert with_swapped_classes != file.read_bytes()
    copy.write_bytes(with_swapped_classes)
    with pytest.raises(StoreError, match="checksum"):
        load_head(copy)
    copy.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(StoreError, match="no stored head"):
        load_head(copy)
    save_file(load(file.read_bytes()), copy, {"f2vbench_head": json.dumps({"format": 2, "software": "9"})})
    with pytest.raises(StoreError, match="later version"):
        load_head(copy)
    save_file(load(file.read_bytes()), copy)
    with pytest.raises(StoreError, match="missing or wrong: method"):
        load_head(copy)


def test_a_head_that_other_code_would_fit_otherwise_is_refused(run):
    head = read_head(_condition(run, "thumbnail") / "seed-0.safetensors")
    arrays = {**head.arrays, "support_outputs": head.arrays["support_outputs"] + 0.01}
    with pytest.raises(StoreError, match="fit another head"):
        StoredHead(head.path, head.facts, arrays).predict(head.arrays["support"])


def _facts(head: TrainedHead, **changes) -> HeadFacts:
    values = {
        "method": head.method,
        "outputs": head.outputs,
        "multi_label": head.multi_label,
        "width": head.arrays["support"].shape[1],
        "family": "classification",
        "modality": "colour",
        "task": "x",
        "protocol": "supervised",
        "encoder": "thumbnail",
        "weights": "none",
        "precision": "float32",
        "fingerprint": "",
        "software": "0",
        "spec": {},
        "identity": {},
        "seed": 0,
        "field_of_view": 2,
        **dict.fromkeys(("unit_of_numbers", "horizon", "shots", "weights_sha256")),
    }
    return HeadFacts(**{**values, **changes})


@pytest.mark.parametrize("family", ["regression", "survival"])
def test_heads_of_numbers_repeat_the_predictions_of_their_unit(family, tmp_path):
    if family == "survival":
        pytest.importorskip("sksurv", reason='needs pip install "f2vbench[survival]"')
    from f2vbench.adapters.registry import adapter_for
    from f2vbench.data.episodes import DRAWS

    context = Context(family, "supervised")
    episode = DRAWS[family](context.index, context.task.card, "supervised", None, 0)
    adapter_for(family).run_unit(context, episode)
    horizon = 5.0 if family == "survival" else None
    facts = _facts(context.head, family=family, unit_of_numbers="years", horizon=horizon)
    path = tmp_path / "seed-0.safetensors"
    path.write_bytes(head_block(context.head, facts))
    test = np.array([context.vectors[image] for image in episode.test])
    predictions = load_head(path).predict_embeddings(test)
    if family == "survival":
        assert time_grid(5.0)[-1] == 5.0
        expected = 1 - context.arrays["survival"][:, -1]
    else:
        expected = context.arrays["predicted"]
    np.testing.assert_allclose(predictions.mean[:, 0], expected, atol=1e-9)
    assert list(predictions.table()) == [context.head.outputs[0]]
    assert not any(name.startswith("p0") for name in load(path.read_bytes()))  # no patient and no image is named
    assert b"p000" not in path.read_bytes()


def test_entropy_of_images_with_several_classes_is_by_class():
    support = np.eye(6, dtype=np.float32)
    targets = np.array([[1, 0], [1, 1], [1, 0], [0, 1], [0, 0], [0, 1]], np.uint8)
    head = TrainedHead("kernel-classifier", {"support": support, "targets": targets}, ("a", "b"), multi_label=True)
    facts = _facts(head)
    stored = StoredHead(Path("x"), facts, {**head.arrays, "support_outputs": None})
    predictions = HeadEnsemble((stored, stored)).predict_embeddings(support)
    p = predictions.mean
    np.testing.assert_allclose(predictions.entropy, entropy(np.stack([p, 1 - p]), base=2, axis=0), atol=1e-12)
    assert predictions.classes[1] == f"a{SEPARATOR}b"
    assert list(predictions.table())[-2:] == ["entropy:a", "entropy:b"]
    np.testing.assert_array_equal(predictions.spread, 0)


def test_the_page_shows_predictions_with_their_uncertainty(run, eyes, monkeypatch):
    rgb = np.asarray(Image.open(eyes / "photos" / "p1_left.png"))
    photograph = as_photograph(rgb, "eye.png")
    for encoder in ("thumbnail", MODEL):
        shown = StoredPredictions(_condition(run, encoder), "cpu").of(photograph)
        expected = load_head(_condition(run, encoder)).predict(eyes / "photos" / "p1_left.png", device="cpu")
        np.testing.assert_allclose(shown.prediction.mean[0, 1], expected["probability:ill"][0], atol=1e-6)
    page = markup._prediction(ShownPrediction("<b>", shown.output_text, shown.prediction))
    assert f"{shown.prediction.mean[0, 1]:.3f}</td>" in page
    assert f"{shown.prediction.spread[0, 1]:.3f}</td>" in page
    assert f"Predictive entropy {shown.prediction.entropy[0]:.2f} bits" in page
    assert "Not for clinical use." in page
    assert "<b>" not in page
    facts = shown.prediction.facts.model_copy(update={"modality": "oct"})
    first = load_head(_condition(run, "thumbnail")).heads[0]
    oct_heads = HeadEnsemble((StoredHead(first.path, facts, first.arrays),))
    monkeypatch.setattr("f2vbench.app.predictions.load_head", lambda _: oct_heads)
    with pytest.raises(SettingsError, match="modality oct"):
        StoredPredictions(Path("x"), "cpu")
    imported = ModelSpec("embeddings:mine", "embeddings", "mine", "vector", False, "precomputed", content="0" * 64)
    spec = {"spec": asdict(imported), "identity": imported.identity(), "modality": "colour"}
    of_imported = HeadEnsemble((StoredHead(first.path, facts.model_copy(update=spec), first.arrays),))
    monkeypatch.setattr("f2vbench.app.predictions.load_head", lambda _: of_imported)
    with pytest.raises(SettingsError, match="imported embeddings"):
        StoredPredictions(Path("x"), "cpu")


def test_folders_without_photographs_are_refused(run, tmp_path):
    heads = load_head(_condition(run, "thumbnail"))
    with pytest.raises(DataError, match="there is no image"):
        heads.predict(tmp_path)
    with pytest.raises(DataError, match="no such file or folder"):
        heads.predict(tmp_path / "none")
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(DataError, match="no image is readable"):
        heads.predict(tmp_path)
