"""Training-free vessel scores."""

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
def test_vessels_score_higher_and_the_surround_nothing(name, diameter):
    rgb, fov, line = _eye(diameter)
    score = build(parse_model(name)).score(rgb, fov)
    assert (score.shape, score.dtype) == (fov.shape, np.float32)
    assert score.min() == 0
    assert not score[~fov].any()
    inner = fov & (cv2.distanceTransform(fov.astype(np.uint8), cv2.DIST_L2, 3) > diameter // 20)
    assert roc_auc_score(line[inner], score[inner]) > 0.98


@pytest.mark.parametrize("name", ["tophat", "frangi", "sato"])
def test_the_rim_of_the_field_of_view_is_no_vessel(name):
    rgb, fov, line = _eye(500)
    score = ScoreBaseline(name).score(rgb, fov)
    rim = fov & (cv2.distanceTransform(fov.astype(np.uint8), cv2.DIST_L2, 3) <= 10)
    assert score[rim & ~line].mean() < 0.1 * score[line & ~rim].mean()


def test_large_photographs_are_filtered_at_the_reference_size():
    rgb = _eye(1060)[0]  # 1080 px a side
    small = cv2.resize(rgb, (540, 540), interpolation=cv2.INTER_AREA)
    reduced = black_tophat(cv2.GaussianBlur(small[..., 1], (5, 5), 1), disk(7)).astype(np.float32)
    expected = cv2.resize(reduced, (1080, 1080), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(ScoreBaseline("tophat").score(rgb, np.ones((1080, 1080), bool)), expected)


def test_wrong_arguments_are_explained():
    rgb, fov, _ = _eye(100)
    baseline = ScoreBaseline("tophat")
    for wrong_rgb, wrong_fov in ((rgb[..., 0], fov), (rgb / 255, fov), (rgb, fov[1:]), (rgb, fov.astype(int))):
        with pytest.raises(DataError, match="got"):
            baseline.score(wrong_rgb, wrong_fov)
    with pytest.raises(DataError, match="empty"):
        baseline.score(rgb, np.zeros_like(fov))
    with pytest.raises(SettingsError, match="no score baseline named 'hessian'"):
        ScoreBaseline("hessian")


@pytest.fixture
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


def test_the_quoted_auroc_of_the_tophat_on_rite(rite):
    """0.934, mean over photographs inside the field of view, and the same from scikit-image's operator."""
    found, independent = [], []
    for rgb, fov, vessel in rite:
        found.append(roc_auc_score(vessel[fov], ScoreBaseline("tophat").score(rgb, fov)[fov]))
        plain = black_tophat(cv2.GaussianBlur(rgb[..., 1], (5, 5), 1), disk(7))
        independent.append(roc_auc_score(vessel[fov], plain[fov]))
    assert len(found) == 20
    assert np.mean(found) == pytest.approx(0.934, abs=5e-4)
    assert found == pytest.approx(independent, abs=1e-6)


def test_the_baselines_keep_their_order_on_a_photograph_of_rite(rite):
    rgb, fov, vessel = rite[0]
    auroc = {name: roc_auc_score(vessel[fov], ScoreBaseline(name).score(rgb, fov)[fov]) for name in BASELINES}
    assert auroc["green"] < auroc["frangi"] < auroc["sato"] < auroc["tophat"]
