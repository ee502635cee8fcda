"""The first commands of the README run on a real photograph, which scikit-image has in its package."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

from f2vbench.cli.main import main
from f2vbench.data.field_of_view import field_of_view
from f2vbench.encoders.loading import load_encoder

README = Path(__file__).resolve().parents[2] / "README.md"
PHOTOGRAPH = Path(skimage.data.__file__).parent / "retina.jpg"

pytestmark = pytest.mark.skipif(
    not PHOTOGRAPH.is_file(), reason="this scikit-image has no data/retina.jpg; its data.retina() would download it"
)


def first_example() -> list[list[str]]:
    """The commands below "A first video" of the README, as lists of words."""
    text = README.read_text(encoding="utf-8").partition("**A first video.**")[2].partition("**Run.**")[0]
    return [shlex.split(line, comments=True) for line in text.splitlines() if line.startswith("    ")]


def test_the_first_example_of_the_readme_runs_on_a_real_photograph(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (python, generate, phantom, search) = first_example()
    assert python[:2] == ["python", "-c"]
    exec(python[2])
    assert (skimage.data.retina() == np.array(Image.open("eye.png"))).all()
    assert generate[:2] == ["f2vbench", "generate"]
    assert main([*generate[1:], "size=256", "device=cpu"]) == 0
    with Image.open("eye.gif") as gif:
        assert gif.n_frames == 12
    record = json.loads(Path("eye.gif.json").read_text())
    assert "fundus2video-mini" in json.dumps(record)
    assert phantom[:2] == ["f2vbench", "phantom"]
    small = [word for word in phantom[1:] if not word.startswith("patients=")]
    assert main([*small, "patients=1", "size=128"]) == 0
    assert search[:2] == ["f2vbench", "search"]
    assert main(search[1:]) == 0
    assert "eyes/images/" in capsys.readouterr().out.replace("\\", "/")
    assert Path("eye-found.png").is_file()


def test_generated_frames_of_a_person_are_bright_where_the_photograph_has_vessels():
    photograph = cv2.resize(skimage.data.retina(), (256, 256), interpolation=cv2.INTER_AREA)
    inside = cv2.erode(field_of_view(photograph).astype(np.uint8), np.ones((25, 25))) > 0
    green = photograph[..., 1].astype(np.float32)
    tophat = cv2.morphologyEx(green, cv2.MORPH_BLACKHAT, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (11, 11)))
    vessels = inside & (tophat > np.quantile(tophat[inside], 0.93))
    background = inside & (tophat < np.quantile(tophat[inside], 0.5))
    with torch.inference_mode():
        x = torch.from_numpy(photograph).permute(2, 0, 1)[None].float() / 255
        frames = load_encoder("fundus2video-mini").generate(x, 12)[0].numpy()
    venous = frames[4:8].mean(0)
    assert venous[vessels].mean() > venous[background].mean() + 0.05
    assert frames[0][vessels].mean() < venous[vessels].mean()  # the dye arrives
