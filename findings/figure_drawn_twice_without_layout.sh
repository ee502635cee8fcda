#!/usr/bin/env bash
# matplotlib: files of a figure whose layout engine was switched off by set_layout_engine("none").
#
# Expected: without a layout engine nothing is laid out, and a file is drawn once.
# Observed (matplotlib 3.11.2): a figure that had a constrained or tight layout keeps a placeholder of it, and savefig draws
#           such a figure twice for each PDF or SVG file: first without output, for a layout that the placeholder does not
#           compute, and then into the file. With set_layout_engine(None) it is drawn once, and the file is the same to
#           the byte (with a fixed date).
# Who meets it: whoever lays a figure out once, switches the layout off so that panels of all its files agree, and writes
#           several formats: large figures for papers take twice the time.
#
# Exit status: 0 while this holds, 1 if the behaviour has changed, other values if the installation failed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/python" -m pip install --quiet --disable-pip-version-check "matplotlib==3.11.2" "numpy>=2,<3"
SOURCE_DATE_EPOCH=0 MPLCONFIGDIR=$work "$work/env/bin/python" - <<'PY'
import io
import sys

import matplotlib
from matplotlib.figure import Figure

draws = []
draw = Figure.draw


def counted(figure, renderer):
    draws.append(figure)
    return draw(figure, renderer)


Figure.draw = counted
counts, files = {}, {}
for layout in ("constrained", "tight"):
    for off in ("none", None):
        figure = Figure(layout=layout)
        figure.subplots().plot([1, 3, 2])
        figure.get_layout_engine().execute(figure)
        figure.set_layout_engine(off)
        draws.clear()
        file = io.BytesIO()
        figure.savefig(file, format="pdf")
        counts[layout, off], files[layout, off] = len(draws), file.getvalue()
        print(
            f"matplotlib {matplotlib.__version__}, layout {layout!r}, set_layout_engine({off!r}):"
            f" {type(figure.get_layout_engine()).__name__}, drawn {len(draws)} times"
        )
same = all(files[layout, "none"] == files[layout, None] for layout in ("constrained", "tight"))
print(f"files are equal: {same}")
as_observed = same and all(count == (2 if off == "none" else 1) for (_, off), count in counts.items())
print("as observed" if as_observed else "the behaviour has changed")
sys.exit(0 if as_observed else 1)
PY
