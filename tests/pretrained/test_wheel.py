"""Weights and their cards are part of the wheel."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.helpers.completed_training import make_card, write_training

ROOT = Path(__file__).resolve().parents[2]
BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
READ = """
import f2vbench
from f2vbench.encoders.model_argument import parse_model

spec = parse_model("fundus2video")
print(f2vbench.__file__, spec.name, spec.weights)
"""


def test_shipped_weights_are_found_in_a_wheel(tmp_path):
    """The wheel is built from a copy with one small weights file, and read by an interpreter that knows only it."""
    copy = tmp_path / "copy"
    ignored = shutil.ignore_patterns("__pycache__", "*.safetensors", "fundus2video-*.yaml")
    for name in ("f2vbench", "tasks", "weights"):
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    assert make_card(write_training(tmp_path / "run"), copy / "weights", "fundus2video-tiny", "default=yes") == 0
    subprocess.run([sys.executable, "-c", BUILD, str(tmp_path)], check=True, capture_output=True, cwd=copy)
    site = tmp_path / "site"
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(site)
    command, environment = [sys.executable, "-c", READ], {"PYTHONPATH": str(site)}
    output = subprocess.run(command, check=True, capture_output=True, text=True, cwd=site, env=environment).stdout
    package, name, weights = output.split()
    assert Path(package).is_relative_to(site)
    assert name == "fundus2video-tiny"
    assert Path(weights) == site / "f2vbench" / "weights" / "fundus2video-tiny.safetensors"
