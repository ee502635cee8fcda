"""A baseline on real photographs: the RITE data set as published."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from f2vbench import Benchmark
from f2vbench.utils.progress import Silent


def independent_tophat_auroc(rite, image: str) -> float:
    """Black top-hat (disk 7) of the smoothed (sigma 1) green channel, from the files."""
    half = rite / "AV_groundTruth" / "training"
    green = np.array(Image.open(half / "images" / f"{image}.tif"))[..., 1]
    disk = (np.hypot(*np.mgrid[-7:8, -7:8]) <= 7).astype(np.uint8)
    score = cv2.morphologyEx(cv2.GaussianBlur(green, (5, 5), 1), cv2.MORPH_BLACKHAT, disk)
    inside = np.array(Image.open(rite / "drive_fov" / "training" / f"{image}_mask.gif")) > 0
    vessels = np.array(Image.open(half / "vessel" / f"{image}.png")) > 0
    return roc_auc_score(vessels[inside], score[inside])


def test_the_top_hat_baseline_agrees_with_an_independent_computation(photographs, tmp_path):
    rite = photographs / "rite"
    arguments = {"model": "tophat", "baselines": "none", "shots": [0], "seeds": [0, 1, 22], "jobs": 1}
    results = Benchmark(task="rite", data=str(rite), out=tmp_path / "run", **arguments).run(Silent())
    found = results.per_image.query("metric == 'auroc'").drop_duplicates("image").set_index("image").value
    assert len(found) == 20, "the test sets of these three seeds contain all photographs"
    for image, value in found.items():
        assert value == pytest.approx(independent_tophat_auroc(rite, image), abs=1e-6), image
    assert found.mean() == pytest.approx(0.934, abs=0.001)
