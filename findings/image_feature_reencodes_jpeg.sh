#!/usr/bin/env bash
# datasets: what happens to the pixels of a JPEG image in a column of images.
#
# Expected: a column of images gives back the pixels that were put in. Dataset.map with a function that only measures an
#           image and returns a new column leaves the column of images alone.
# Observed (datasets 5.2.0, Pillow 13.0.0): an image that was opened from bytes is compressed again, with Pillow's default
#           quality of 75. For a smooth test image with some noise, first compressed with quality 95, pixels change by up
#           to 15 grey levels (root of the mean square 3.2), and the file shrinks from 6354 to 2330 bytes. The same
#           happens in Dataset.map to images whose bytes are in the data set, as in a Parquet file, when the function
#           reads the image: row["image"].width is enough. There is no warning. A path, the bytes, an image converted to
#           another mode (saved as PNG) and map with input_columns are exact.
# Who meets it: whoever stores decoded frames of a JPEG data set, or adds a column such as the width or a label to one and
#           then measures image quality, compression or fine vessels on the result.
#
# Exit status: 0 while this holds, 1 if the behaviour has changed, other values if the installation failed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/python" -m pip install --quiet --disable-pip-version-check "datasets==5.2.0" "pillow==13.0.0" "numpy>=2,<3"
HF_HOME="$work/cache" "$work/env/bin/python" - "$work" <<'PY'
import sys
from io import BytesIO
from pathlib import Path

import datasets
import numpy as np
import PIL
from datasets import Dataset, Features
from PIL import Image

datasets.disable_progress_bars()
print(f"datasets {datasets.__version__}, Pillow {PIL.__version__}")
y, x = np.mgrid[:128, :128]
smooth = np.stack([150 + 40 * np.sin(x / 9), 90 + 30 * np.cos(y / 7), 60 + 20 * np.sin((x + y) / 5)], -1)
noisy = smooth + np.random.default_rng(0).normal(0, 4, smooth.shape)
buffer = BytesIO()
Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=95)
jpeg = buffer.getvalue()
path = Path(sys.argv[1], "image.jpg")
path.write_bytes(jpeg)
decoded = np.asarray(Image.open(path)).astype(int)


def column(value):
    return Dataset.from_dict({"image": [value]}, features=Features({"image": datasets.Image()}))


def width(row):
    return {"width": row["image"].width}


embedded = column({"bytes": jpeg, "path": None})
embedded.to_parquet(Path(sys.argv[1], "rows.parquet"))
parquet = Dataset.from_parquet(str(Path(sys.argv[1], "rows.parquet")))
exact = {
    "path": column(str(path)),
    "opened from a path": column(Image.open(path)),
    "bytes": embedded,
    "opened from bytes, converted to RGB": column(Image.open(BytesIO(jpeg)).convert("RGB")),
    "Parquet": parquet,
    "Parquet, map with input_columns": parquet.map(lambda image: {"width": image.width}, input_columns="image"),
}
changed = {
    "opened from bytes": column(Image.open(BytesIO(jpeg))),
    "bytes, map that reads the width": embedded.map(width),
    "Parquet, map that reads the width": parquet.map(width),
}
differences = {}
for name, rows in {**exact, **changed}.items():
    difference = np.asarray(rows[0]["image"]).astype(int) - decoded
    differences[name] = np.abs(difference).max()
    kept = rows.cast_column("image", datasets.Image(decode=False))[0]["image"]["bytes"]
    size = f"{len(kept)} bytes" if kept else "kept as a path"
    print(f"{name:<36} largest {differences[name]:2d}, rms {np.sqrt(np.mean(difference**2)):.2f}, {size}")

as_observed = all(differences[name] == 0 for name in exact) and all(differences[name] >= 5 for name in changed)
print(f"as observed ({len(jpeg)} bytes went in)" if as_observed else "the behaviour has changed")
sys.exit(0 if as_observed else 1)
PY
