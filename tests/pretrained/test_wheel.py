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
from f2vbench.encoders.loading import load_encoder
from f2vbench.encoders.model_argument import parse_model

spec, large = parse_model("fundus2video"), parse_model("fundus2fa")
print(f2vbench.__file__, spec.name, spec.weights, large.weights, len(load_encoder("fundus2fa").state_dict()))
"""


def test_shipped_weights_are_found_in_a_wheel(tmp_path):
    """The wheel is built from a copy with small weights, some in shards, and read by an interpreter of its own."""
    copy = tmp_path / "copy"
    ignored = shutil.ignore_patterns("__pycache__", "*.safetensors", "fundus2*.yaml")
    for name in ("f2vbench", "tasks", "weights"):
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    assert make_card(write_training(tmp_path / "run"), copy / "weights", "fundus2video-tiny", "default=yes") == 0
    large = write_training(tmp_path / "large", "fundus2fa", limit=600_000)
    assert make_card(large, copy / "weights", "fundus2fa-large", "default=yes") == 0
    subprocess.run([sys.executable, "-c", BUILD, str(tmp_path)], check=True, capture_output=True, cwd=copy)
    site = tmp_path / "site"
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(site)
    command, environment = [sys.executable, "-c", READ], {"PYTHONPATH": str(site)}
    output = subprocess.run(command, check=True, capture_output=True, text=True, cwd=site, env=environment).stdout
    package, name, weights, index, tensors = output.split()
    assert Path(package).is_relative_to(site)
    assert name == "fundus2video-tiny"
    assert Path(weights) == site / "f2vbench" / "weights" / "fundus2video-tiny.safetensors"
    assert Path(index) == site / "f2vbench" / "weights" / "fundus2fa-large.safetensors.index.json"
    assert int(tensors) > 10
