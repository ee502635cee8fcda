"""Vessel scores without training."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage.morphology import black_tophat, disk
from sklearn.metrics import roc_auc_score

from f2vbench.encoders.baselines.vessel_filters import ScoreBaseline
from f2vbench.encoders.loading import build
from f2vbench.encoders.model_argument import parse_model
from f2vbench.errors import DataError, SettingsError

BASELINES = ("tophat", "frangi", "sato", "green")


def _eye(diameter: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A bright disc on black with one dark line: photograph, field of view, line."""
    side = diameter + 20
    rows, columns = np.mgrid[:side, :side] - side // 2
    fov = rows**2 + columns**2 <= (diameter // 2) ** 2
    line = fov & (abs(rows - columns // 3) <= max(2, diameter // 200))
    rgb = np.zeros((side, side, 3), np.uint8)
    rgb[fov] = (180, 120, 60)
    rgb[line] = (140, 80, 50)
    return rgb, fov, line


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("diameter", [300, 1200])
def test_vessels_have_higher_scores_and_the_background_zero(name, diameter):
    rgb, fov, line = _eye(diameter)
    score = build(parse_model(name)).score(rgb, fov)
    assert (score.shape, score.dtype) == (fov.shape, np.float32)
    assert score.min() == 0
    assert not score[~fov].any()
    inner = fov & (cv2.distanceTransform(fov.astype(np.uint8), cv2.DIST_L2, 3) > diameter // 20)
    assert roc_auc_score(line[inner], score[inner]) > 0.98


@pytest.mark.parametrize("name", ["tophat", "frangi", "sato"])
def test_the_edge_of_the_field_of_view_is_not_scored_as_a_vessel(name):
    rgb, fov, line = _eye(500)
    score = ScoreBaseline(name).score(rgb, fov)
    edge = fov & (cv2.distanceTransform(fov.astype(np.uint8), cv2.DIST_L2, 3) <= 10)
    assert score[edge & ~line].mean() < 0.1 * score[line & ~edge].mean()


def test_large_photographs_are_filtered_at_the_working_resolution():
    rgb = _eye(1060)[0]  # 1080 px a side
    small = cv2.resize(rgb, (540, 540), interpolation=cv2.INTER_AREA)
    reduced = black_tophat(cv2.GaussianBlur(small[..., 1], (5, 5), 1), disk(7)).astype(np.float32)
    expected = cv2.resize(reduced, (1080, 1080), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(ScoreBaseline("tophat").score(rgb, np.ones((1080, 1080), bool)), expected)


def test_invalid_arguments_are_explained():
    rgb, fov, _ = _eye(100)
    baseline = ScoreBaseline("tophat")
    for invalid_rgb, invalid_fov in ((rgb[..., 0], fov), (rgb / 255, fov), (rgb, fov[1:]), (rgb, fov.astype(int))):
        with pytest.raises(DataError, match="got"):
            baseline.score(invalid_rgb, invalid_fov)
    with pytest.raises(DataError, match="empty"):
        baseline.score(rgb, np.zeros_like(fov))
    with pytest.raises(SettingsError, match="no score baseline named 'hessian'"):
        ScoreBaseline("hessian")


@pytest.fixture(scope="module")
def rite(photographs):
    """RITE's training photographs with DRIVE's field of view and RITE's vessels."""
    folder = photographs / "rite" / "AV_groundTruth" / "training"
    masks = photographs / "rite" / "drive_fov" / "training"
    if not masks.is_dir():
        pytest.skip(f"no RITE with DRIVE's fields of view in {photographs}")
    eyes = []
    for path in sorted((folder / "images").iterdir()):
        fov = np.asarray(Image.open(masks / f"{path.stem}_mask.gif").convert("L")) > 0
        vessel = np.asarray(Image.open(folder / "vessel" / f"{path.stem}.png").convert("L")) > 0
        eyes.append((np.asarray(Image.open(path).convert("RGB")), fov, vessel))
    return eyes


def test_the_auroc_of_the_tophat_on_rite(rite):
    """0.934, mean over photographs, inside the field of view."""
    aurocs = [roc_auc_score(vessel[fov], ScoreBaseline("tophat").score(rgb, fov)[fov]) for rgb, fov, vessel in rite]
    assert len(aurocs) == 20
    assert np.mean(aurocs) == pytest.approx(0.934, abs=5e-4)


def test_the_tophat_is_that_of_scikit_image(rite):
    rgb, fov, _ = rite[0]
    expected = black_tophat(cv2.GaussianBlur(rgb[..., 1], (5, 5), 1), disk(7))
    np.testing.assert_array_equal(ScoreBaseline("tophat").score(rgb, fov)[fov], expected[fov])


def test_the_order_of_the_baselines_on_a_photograph_of_rite(rite):
    rgb, fov, vessel = rite[0]
    auroc = {name: roc_auc_score(vessel[fov], ScoreBaseline(name).score(rgb, fov)[fov]) for name in BASELINES}
    assert auroc["green"] < auroc["frangi"] < auroc["sato"] < auroc["tophat"]
