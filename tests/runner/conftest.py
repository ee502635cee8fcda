"""Fixtures of runs: a small segmentation data set, and a completed run that serves as the reference."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from f2vbench import Benchmark
from f2vbench.utils.progress import Silent
from tests.helpers.eyes import write_eyes
from tests.helpers.run_folders import comparable_files
from tests.helpers.segmentation_runs import SETTINGS


@pytest.fixture(scope="session")
def eyes(tmp_path_factory) -> Path:
    """Folder of six photographs with vessel masks."""
    return write_eyes(tmp_path_factory.mktemp("eyes"), 6)


@pytest.fixture(scope="session")
def reference(eyes, tmp_path_factory) -> Path:
    """Folder with ``run`` and ``cache`` of an undisturbed run in one process."""
    folder = tmp_path_factory.mktemp("reference")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("F2VBENCH_CACHE", str(folder / "cache"))
        Benchmark(data=str(eyes), out=folder / "run", **SETTINGS).run(Silent())
    return folder


@pytest.fixture(scope="session")
def expected(reference) -> dict[str, bytes]:
    """Content of the reference run."""
    return comparable_files(reference / "run")


@pytest.fixture
def completed(reference, tmp_path) -> Path:
    """Copy of the reference run; its cache is in use."""
    shutil.copytree(reference / "run", tmp_path / "run")
    shutil.copytree(reference / "cache", tmp_path / "cache")
    return tmp_path / "run"
