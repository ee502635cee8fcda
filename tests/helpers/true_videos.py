"""True videos of a table of simulated eyes, and metrics of generated ones computed from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from f2vbench.data.field_of_view import field_of_view
from f2vbench.metrics.video import video_metrics


def truth(cohort: Path, cases) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Real videos in [0, 1] and their fields of view, read from the table."""
    table = pd.read_csv(cohort / "video.csv")
    videos, fields = [], []
    for case in cases:
        rows = table[table.pid_eye == case].sort_values("level_1")
        video = np.stack([np.array(Image.open(cohort / name).convert("L")) for name in rows.fa_rigid])
        photograph = np.array(Image.open(cohort / rows.co_rigid.iloc[0]).convert("RGB"))
        lit = field_of_view(np.repeat(video.max(0)[..., None], 3, 2))
        videos.append(video.astype(np.float32) / 255)
        fields.append(field_of_view(photograph) & lit)
    return videos, fields


def by_hand(real, fake, inside) -> dict[tuple[str, str], float | None]:
    """Metrics by case and name, of frames that are black outside the field of view."""
    blacked = [[video * mask for video, mask in zip(side, inside, strict=True)] for side in (real, fake)]
    rows = video_metrics(*blacked, masks=inside, resamples=0)
    return {(row.case, row.metric): row.value for row in rows}
