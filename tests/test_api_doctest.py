"""An interactive session with the public names, `Benchmark`, `Results`, `load_encoder`, `load_head` and `load_task`."""

from __future__ import annotations

import doctest

import numpy as np

from f2vbench.utils.progress import Silent
from tests.helpers.patients import write_cards, write_patients

SESSION = """
>>> from f2vbench import Benchmark, Results, load_encoder, load_head, load_task

A task card describes a data set and its labels.

>>> card = load_task("tiny")
>>> card.family, card.labels
('classification', 'drawn')

An encoder maps RGB photographs to embeddings.

>>> embeddings = load_encoder("thumbnail").embed([photograph, photograph])
>>> embeddings.shape, embeddings.dtype
((2, 3072), dtype('float32'))

A benchmark is planned, then run.

>>> bench = Benchmark(task="tiny", model="thumbnail", baselines="colour", protocol="knn", shots=2, seeds=3,
...                   data=data, out=folder, jobs=1)
>>> bench.plan()[["model", "units", "missing"]].values.tolist()
[['thumbnail', 3, 3], ['colour', 3, 3]]
>>> results = bench.run(progress)
>>> bench.plan().missing.sum().item()
0

Results are data frames: a row for each unit and metric, and their summary over seeds.

>>> auroc = results.frame[results.frame.metric == "auroc"]
>>> len(auroc), bool(auroc.value.between(0, 1).all())
(6, True)
>>> Results.load(folder).summary(["auroc"])[["encoder", "n"]].sort_values("encoder").values.tolist()
[['colour', 3], ['thumbnail', 3]]

Stored heads predict other photographs, with the spread over seeds and the predictive entropy.

>>> kept = Benchmark(task="tiny", model="thumbnail", baselines="none", protocol="few-shot", shots=2, seeds=3, data=data,
...                  out=folder, jobs=1, keep_heads=True).run(progress)
>>> heads = load_head(f"{folder}/heads/thumbnail.tiny.few-shot-2")
>>> list(heads.predict(f"{data}/photos"))
['image', 'prediction', 'probability:well', 'probability:ill', 'sd:well', 'sd:ill', 'entropy']
>>> heads.predict_embeddings(embeddings).mean.shape
(2, 2)

Comparisons name the test and its adjustment.

>>> compared = results.compare("thumbnail", metrics=["auroc"])
>>> compared[["encoder", "best_other", "test", "adjustment"]].values.tolist()
[['thumbnail', 'colour', 'paired t-test', 'Holm']]
"""


def test_a_session_with_the_public_names(tmp_path, monkeypatch):
    monkeypatch.setenv("F2VBENCH_PATH", str(write_cards(tmp_path / "cards")))
    names = {
        "data": str(write_patients(tmp_path / "eyes", 24, 25, 1)),
        "folder": str(tmp_path / "run"),
        "photograph": np.full((64, 64, 3), 128, np.uint8),
        "progress": Silent(),
    }
    session = doctest.DocTestParser().get_doctest(SESSION, names, "session", __file__, 0)
    assert doctest.DocTestRunner().run(session).failed == 0
