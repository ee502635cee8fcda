"""Shared fixtures: the folder of real photographs, and a place of its own for every cache."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from f2vbench.utils.torchvision_compat import allow_missing_torchvision_ops

allow_missing_torchvision_ops()  # before a test imports timm or segmentation-models-pytorch

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def photographs() -> Path:
    """Folder of real photographs (``F2VBENCH_TEST_DATA``, default ``../shared/data``); skips when absent."""
    folder = Path(os.environ.get("F2VBENCH_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real photographs in {folder}: set F2VBENCH_TEST_DATA to their folder")
    return folder


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    """Keep every test away from the user's cache, data root and cards."""
    monkeypatch.setenv("F2VBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("F2VBENCH_DATA", raising=False)
    monkeypatch.delenv("F2VBENCH_PATH", raising=False)


@pytest.fixture
def card_folder(tmp_path, monkeypatch) -> Path:
    """An empty folder of weights cards that is searched before those of the package."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "mine" / "weights"
    folder.mkdir(parents=True)
    monkeypatch.setenv("F2VBENCH_PATH", str(folder.parent))
    return folder
