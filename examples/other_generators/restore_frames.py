"""Write generated frames of squares in the layout that `model=frames:<folder>` reads.

    python restore_frames.py <photographs> <generated> <frames>

`<photographs>` is the argument of `write_squares.py`, and `<generated>` has a folder `<case>` with the frames of each
square, 12 or more square images in the order of their names. Twelve at equal distances, the first and the last
included, are converted to grey, resized to the square on the photograph, and written as `<frames>/<case>/01.png` to
`12.png` on the photograph's own pixels, black outside its field of view.
"""

import sys
from pathlib import Path

import numpy as np

from f2vbench.data.field_of_view import field_of_view
from f2vbench.data.images import read_rgb
from f2vbench.data.square_crop import SquareView
from f2vbench.data.video_folders import read_video_folder
from f2vbench.utils.png import encode_png
from f2vbench.videos.inputs import find_photographs

FRAMES = 12


def restore_frames(photographs: Path, generated: Path, frames: Path) -> None:
    """Write the frames of each photograph."""
    videos = read_video_folder(generated)
    for case, file in find_photographs([photographs]).items():
        if case not in videos.cases:
            raise SystemExit(f"{generated}: has no folder {case} for the photograph {file}: generate it")
        video = videos[videos.cases.index(case)]
        if len(video) < FRAMES or video.shape[1] != video.shape[2]:
            found = f"{len(video)} frames of {video.shape[2]} × {video.shape[1]} pixels"
            raise SystemExit(f"{generated / case}: {found}; at least {FRAMES} square ones are needed")
        inside = field_of_view(read_rgb(file))
        view = SquareView.around(inside)
        (frames / case).mkdir(parents=True, exist_ok=True)
        for number, position in enumerate(np.linspace(0, len(video) - 1, FRAMES).round().astype(int), 1):
            restored = np.rint(255 * view.restore(video[position])) * inside
            (frames / case / f"{number:02d}.png").write_bytes(encode_png(restored.astype(np.uint8)))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    restore_frames(*map(Path, sys.argv[1:]))
