"""Runs with SAM2: rows beside encoders with decoders, maps that are stored once, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from f2vbench import Benchmark, Results
from f2vbench.cli.main import main
from f2vbench.store.features import FeatureSet
from f2vbench.utils.progress import Silent
from tests.helpers.sam2_files import write_hub_folder

pytest.importorskip("transformers", reason="needs transformers: pip install 'f2vbench[sam2]'")


@pytest.fixture
def model(tmp_path) -> str:
    return f"sam2:{write_hub_folder(tmp_path / 'tiny-sam2')}"


def benchmark(eyes, tmp_path, **values) -> Benchmark:
    base = {"task": "folder", "data": str(eyes), "out": tmp_path / "run", "baselines": ["none"], "shots": [1, 2]}
    return Benchmark(**{**base, "seeds": 1, "image_size": 64, "epochs": 2, "jobs": 1, **values})


def test_both_rows_read_maps_that_are_encoded_once(eyes, model, tmp_path, monkeypatch):
    stored: list[dict[str, np.ndarray]] = []
    original = FeatureSet.put

    def put(self, entry, arrays):
        stored.append(dict(arrays))
        return original(self, entry, arrays)

    monkeypatch.setattr(FeatureSet, "put", put)
    results = benchmark(eyes, tmp_path, model=[model, f"{model}@oracle-click"]).run(Silent())
    assert set(results.frame.encoder) == {"sam2:tiny-sam2", "sam2:tiny-sam2@oracle-click"}
    assert len(stored) == 6
    assert {(level.dtype.name, level.shape) for arrays in stored for level in arrays.values()} == {
        ("float16", (4, 32, 32)),
        ("float16", (8, 16, 16)),
        ("float16", (32, 8, 8)),
    }
    record = Results.load(tmp_path / "run").records[0]
    assert record["identity"]["settings"]["sam2"]["positive_weight"] == 2
    assert "decoder" not in record["identity"]["settings"]
    assert record["timing"]["fit_steps"] == 2


def test_another_image_size_reads_the_same_maps(eyes, model, tmp_path, monkeypatch):
    benchmark(eyes, tmp_path, model=[model]).run(Silent())
    monkeypatch.setattr(FeatureSet, "put", lambda *_: pytest.fail("encoded again"))
    benchmark(eyes, tmp_path, model=[model], image_size=80, out=tmp_path / "other").run(Silent())


def test_a_plan_has_reasons_notes_and_an_estimate(eyes, model, tmp_path, capsys):
    words = ["plan", "task=folder", f"data={eyes}", f"out={tmp_path / 'run'}", "image_size=64", "epochs=2", "jobs=1"]
    assert main([*words, f"model={model},{model}@oracle-click", "shots=0,1", "seeds=1", "baselines=tophat"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "sam2:tiny-sam2 · zero-shot: its masks need a prompt or fine-tuning" in text
    assert "is SAM2's own, fine-tuned on whole photographs" in text
    assert "sam2:tiny-sam2@oracle-click: each test photograph is prompted with a click" in text
    tuned = ["shots=1", "seeds=1", "baselines=tophat", "finetune=full", "augment=none"]
    assert main([*words, f"model={model}", *tuned]) == 0
    assert "finetune=full: only its mask decoder can be fine-tuned" in " ".join(capsys.readouterr().out.split())
