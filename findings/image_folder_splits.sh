#!/usr/bin/env bash
# datasets: the image folder loader when the name of a class has the word "test", "validation" or "training" in it.
#
# Expected: two class folders with three images each are six rows and two labels, as the same loader gives for names
#           without such a word.
# Observed (datasets 5.2.0): one class folder whose name has such a word as a separate part makes its images a split.
#           The images of every other folder are left out, and so is the label. "normal" and "late-test" give a split
#           "test" with three rows and no label, "external-validation" a split "validation", "mass-in-training" a split
#           "train". With one such word for each of two classes, the classes become the splits. There is no warning.
#           The words are: train, training, valid, validation, val, dev, test, testing, eval and evaluation. The
#           documentation describes them as marks of splits in names of files and folders; that everything else is then
#           left out is the surprise. Issue 7201 of huggingface/datasets has it for a single file named train.png.
# Who meets it: whoever loads class folders that are named after a site, a visit or an examination ("stress test").
#           An evaluation then runs on a part of the data. Giving data_files={"train": "**"} avoids it.
#
# Exit status: 0 while this holds, 1 if the behaviour has changed, other values if the installation failed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/python" -m pip install --quiet --disable-pip-version-check "datasets==5.2.0" "pillow==13.0.0" "numpy>=2,<3"
HF_HOME="$work/cache" "$work/env/bin/python" - "$work" <<'PY'
import itertools
import sys
import warnings
from pathlib import Path

import datasets
import numpy as np
from PIL import Image

datasets.disable_progress_bars()
warnings.simplefilter("always")
print(f"datasets {datasets.__version__}; each class folder has three images")
rng, numbers = np.random.default_rng(0), itertools.count()


def load(*classes, **options):
    """The splits of a folder with these classes: name, rows, names of the labels or None."""
    root = Path(sys.argv[1], f"folder{next(numbers)}")
    for name in classes:
        (root / name).mkdir(parents=True)
        for index in range(3):
            Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(root / name / f"{index}.png")
    loaded = datasets.load_dataset("imagefolder", data_dir=str(root), **options)
    labels = {split: rows.features["label"].names if "label" in rows.features else None for split, rows in loaded.items()}
    found = {split: (rows.num_rows, labels[split]) for split, rows in loaded.items()}
    print(f"{' + '.join(classes):<36} {found} {options or ''}")
    return found


complete = [
    load("late", "normal"),
    load("latest", "normal"),
    load("late-test", "normal", data_files={"train": "**"}),
]
partial = {
    "late-test": "test",
    "stress test": "test",
    "external-validation": "validation",
    "mass-in-training": "train",
    "late-testing": "test",
    "late_eval": "test",
    "early.evaluation": "test",
    "2-dev": "validation",
    "left valid": "validation",
    "a-val": "validation",
    "from-train": "train",
}
left_out = all(load("normal", name) == {split: (3, None)} for name, split in partial.items())
swapped = load("early-test", "late-validation")

as_observed = (
    all(found["train"][0] == 6 and len(found["train"][1]) == 2 for found in complete)
    and left_out
    and {split: rows for split, (rows, _) in swapped.items()} == {"test": 3, "validation": 3}
)
print("as observed: half of the images and all labels are left out" if as_observed else "the behaviour has changed")
sys.exit(0 if as_observed else 1)
PY
