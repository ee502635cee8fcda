"""Write the square around the field of view of each photograph, as input of a generator that is not part of f2vbench.

    python write_squares.py <photographs> <squares> [<side>]

`<photographs>` is a folder of photographs, a table in the released format, or a folder of cases. Each square is written
as `<squares>/<case>.png` with 8-bit RGB pixels, black outside the field of view, of `<side>` pixels (256).
"""

import sys
from pathlib import Path

import numpy as np

from f2vbench.data.field_of_view import field_of_view
from f2vbench.data.images import read_rgb
from f2vbench.data.square_crop import SquareView
from f2vbench.utils.png import encode_png
from f2vbench.videos.inputs import find_photographs


def write_squares(photographs: Path, squares: Path, side: int) -> None:
    """Write a square for each photograph."""
    squares.mkdir(parents=True, exist_ok=True)
    for case, file in find_photographs([photographs]).items():
        rgb = read_rgb(file)
        inside = field_of_view(rgb)
        view = SquareView.around(inside)
        square = view.crop(rgb * inside[..., None], side) * view.crop(inside, side)[..., None]
        (squares / f"{case}.png").write_bytes(encode_png(np.ascontiguousarray(square)))


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        raise SystemExit(__doc__)
    write_squares(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) == 4 else 256)
