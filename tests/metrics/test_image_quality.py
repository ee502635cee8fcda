"""PSNR, SSIM and LPIPS against scikit-image, plain loops and the network written out by hand."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from f2vbench.errors import WeightsError
from f2vbench.metrics.image_quality import psnr, ssim
from f2vbench.metrics.lpips_distance import load_lpips, lpips
from tests.helpers.video_networks import WeightsFile, frames, lpips_by_hand


def test_psnr_and_ssim_equal_scikit_image_frame_by_frame():
    real, fake = frames(2, 3, 40, 52)
    for index in np.ndindex(2, 3):
        a, b = real[index], fake[index]
        assert psnr(real, fake)[index] == pytest.approx(peak_signal_noise_ratio(a, b, data_range=1), abs=1e-10)
        reference = structural_similarity(
            a, b, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        assert ssim(real, fake)[index] == pytest.approx(reference, abs=1e-10)


def test_ssim_equals_a_loop_over_windows_inside_the_mask():
    real, fake = frames(20, 23)
    mask = np.zeros((20, 23), bool)
    mask[4:14, 6:20] = True
    a, b = real * mask, fake * mask
    offsets = np.arange(-5, 6)
    weights = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    values = []
    for row in range(5, 15):
        for column in range(5, 18):
            x, y = (f[row - 5 : row + 6, column - 5 : column + 6] for f in (a, b))
            mx, my = (weights * x).sum(), (weights * y).sum()
            vx, vy = (weights * (x - mx) ** 2).sum(), (weights * (y - my) ** 2).sum()
            cxy = (weights * (x - mx) * (y - my)).sum()
            value = (2 * mx * my + 1e-4) * (2 * cxy + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
            if mask[row, column]:
                values.append(value)
    assert ssim(real, fake, mask) == pytest.approx(np.mean(values), abs=1e-12)


def test_psnr_of_a_known_error_and_of_identical_frames():
    real = np.full((3, 4, 4), 0.5)
    assert psnr(real, real + 0.1) == pytest.approx([20.0] * 3)
    assert np.isinf(psnr(real, real)).all()


def test_pixels_outside_the_mask_have_no_influence(alexnet):
    real, fake = frames(2, 48, 48)
    mask = np.zeros((48, 48), bool)
    mask[8:40, 10:44] = True
    other = np.where(mask, fake, 1 - fake)
    network = load_lpips(alexnet.path, card=alexnet.card)
    for measure in (psnr, ssim, lambda a, b, m: lpips(a, b, network, m)):
        np.testing.assert_array_equal(measure(real, fake, mask), measure(real, other, mask))
    count = mask.sum()
    by_hand = 10 * np.log10(count / np.square(real - fake)[:, mask].sum(axis=1))
    assert psnr(real, fake, mask) == pytest.approx(by_hand)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f * 2 - 1, r"\[0, 1\]"),
        (lambda f: np.where(f == f.max(), np.nan, f), "NaN"),
        (lambda f: f[..., 1:], "same shape"),
    ],
)
def test_invalid_frames_are_an_error(change, message):
    real, fake = frames(16, 16)
    for measure in (psnr, ssim):
        with pytest.raises(ValueError, match=message):
            measure(real, change(fake))


def test_lpips_equals_the_network_written_out_by_hand(alexnet):
    real, fake = frames(2, 2, 64, 72)
    network = load_lpips(alexnet.path, card=alexnet.card)
    distances = lpips(real, fake, network)
    assert distances.shape == (2, 2)
    for index in np.ndindex(2, 2):
        assert distances[index] == pytest.approx(lpips_by_hand(real[index], fake[index]), rel=1e-4)
    assert lpips(real, real, network) == pytest.approx(0)


def test_lpips_needs_frames_of_31_pixels(alexnet):
    network = load_lpips(alexnet.path, card=alexnet.card)
    real, fake = frames(1, 31, 31)
    assert np.isfinite(lpips(real, fake, network)).all()
    with pytest.raises(ValueError, match="31 × 31"):
        lpips(real[..., :30, :], fake[..., :30, :], network)


def test_without_the_package_the_error_says_how_to_install_it(alexnet, monkeypatch):
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(WeightsError, match=r"pip install f2vbench\[video\]"):
        load_lpips(alexnet.path, card=alexnet.card)


def test_a_trunk_that_is_not_the_file_of_its_card_is_an_error(alexnet, tmp_path):
    with pytest.raises(WeightsError, match=r"bytes, but alexnet-owt-7be5be79\.pth has 244,408,911"):
        load_lpips(alexnet.path)
    changed = alexnet.card.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(WeightsError, match="SHA-256"):
        load_lpips(alexnet.path, card=changed)
    torch.save({"features.0.weight": torch.zeros(64, 3, 11, 11)}, tmp_path / "part.pth")
    part = WeightsFile(tmp_path / "part.pth", "lpips-alex")
    with pytest.raises(WeightsError, match="9 missing"):
        load_lpips(part.path, card=part.card)
