"""Photographs of healthy and ill patients, with a table of outcomes and task cards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

MODEL = "timm:test_resnet:untrained"
CARD = (
    "name: {name}\ntitle: Tiny\nfamily: classification\nlayout: outcome_table\n"
    "options: {{table: eyes.csv, outcome: ill}}\nsplit: official\nlabels: drawn\nsource: simulated\n"
    "terms: none\ncitation: none\nobtain: simulate\n{more}"
)
SCHEME = (
    "label_kind: binary\nclasses:\n  - {name: well, meaning: none, read: ['0']}\n"
    "  - {name: ill, meaning: some, read: ['1']}\n"
)
TINY = {
    "task": "tiny",
    "model": ["thumbnail", MODEL],
    "baselines": "thumbnail",
    "head": {"recipe": "paper", "epochs": 6, "warmup_epochs": 1, "widths": [16]},
}


def write_patients(folder: Path, patients: int, shift: float, seed: int) -> Path:
    """Write two photographs per patient; those of ill patients are brighter by ``shift`` in one half."""
    draw = np.random.default_rng(seed)
    rows = []
    yy, xx = np.mgrid[:48, :48]
    fov = (yy - 23.5) ** 2 + (xx - 23.5) ** 2 < 23**2
    for patient in range(patients):
        ill = patient % 2
        split = ("train", "train", "train", "val", "test", "test")[patient // 2 % 6]
        for eye in ("left", "right"):
            pixels = np.array([150, 90, 40]) + draw.normal(scale=12, size=(48, 48, 3))
            pixels[:24] += ill * shift
            path = folder / "photos" / f"p{patient}_{eye}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((np.clip(pixels, 20, 255) * fov[..., None]).astype(np.uint8)).save(path)
            row = {"image": f"photos/{path.name}", "patient": f"p{patient}", "ill": ill, "eye": eye, "split": split}
            rows.append({**row, "age": 40 + patient})
    pd.DataFrame(rows).to_csv(folder / "eyes.csv", index=False)
    return folder


def write_cards(folder: Path) -> Path:
    """Write task cards with two classes (``tiny``, ``far``), without classes (``bare``), and with three (``three``)."""
    folder.mkdir()
    third = "  - {name: worse, meaning: more, read: ['2']}\n"
    schemes = {"tiny": SCHEME, "far": SCHEME, "bare": "", "three": SCHEME.replace("binary", "nominal") + third}
    for name, more in schemes.items():
        (folder / f"{name}.yaml").write_text(CARD.format(name=name, more=more))
    return folder
