"""Files of figures: sizes, fonts, equal bytes, and text that is not cut off."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from f2vbench.errors import SettingsError
from f2vbench.report.figures.catalogue import draw_figures
from f2vbench.report.figures.figure import save_figure
from f2vbench.report.figures.style import STYLES
from tests.helpers.drawn_figures import draw_one


@pytest.mark.parametrize(
    ("style", "millimetres", "sizes"),
    [("nature", 183, {7, 8}), (STYLES["nature"].column, 89, {7, 8}), ("slides", 300, {14, 16})],
)
def test_pdf_has_the_width_and_text_sizes_of_the_style_and_embeds_its_fonts(
    classification_results, tmp_path, style, millimetres, sizes
):
    drawn = draw_one(classification_results, "critical-difference", style)
    (path,) = save_figure(drawn, tmp_path, ["pdf"])
    pdf = path.read_bytes()
    width = float(re.search(rb"/MediaBox \[ 0 0 ([\d.]+)", pdf)[1])
    assert width / 72 * 25.4 == pytest.approx(millimetres, abs=0.2)
    assert pdf.count(b"/FontFile2") >= 1  # TrueType
    assert b"/Type3" not in pdf
    assert {text.get_fontsize() for text in drawn.figure.findobj(Text)} <= sizes


def test_equal_figures_are_equal_files(classification_results, tmp_path):
    first, second = (
        save_figure(draw_one(classification_results, "supervised"), tmp_path / name, dpi=100) for name in "ab"
    )
    assert [path.suffix for path in first] == [".pdf", ".svg", ".png"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert "<text" in first[1].read_text()
    with Image.open(first[2]) as png:
        assert png.width == pytest.approx(183 / 25.4 * 100, abs=2)


def test_a_figure_is_drawn_once_for_each_file(classification_results, tmp_path, monkeypatch):
    """With a layout engine of any kind matplotlib draws a figure a second time, to lay it out."""
    drawn, draw, calls = draw_one(classification_results, "supervised"), Figure.draw, []
    monkeypatch.setattr(Figure, "draw", lambda figure, renderer: calls.append(figure) or draw(figure, renderer))
    save_figure(drawn, tmp_path, dpi=100)
    assert len(calls) == 3


def test_an_unknown_format_is_an_error(classification_results, tmp_path):
    with pytest.raises(SettingsError, match="jpeg"):
        save_figure(draw_one(classification_results, "critical-difference"), tmp_path, ["jpeg"])


def test_text_is_within_the_figure_and_labels_do_not_overlap(classification_results):
    names = ["few-shot", "supervised", "cost-quality", "calibration", "confusion", "critical-difference"]
    for drawn in draw_figures(classification_results, names, STYLES["nature"].column):
        figure = drawn.figure
        figure.draw_without_rendering()
        width, height = figure.get_size_inches() * figure.dpi
        texts = visible_texts(figure)
        for text in texts:
            box = text.get_window_extent()
            assert -1.5 < box.x0 < box.x1 < width + 1.5, (drawn.name, text.get_text())
            assert -1.5 < box.y0 < box.y1 < height + 1.5, (drawn.name, text.get_text())
        for axis in figure.axes:
            labels = [label for label in axis.get_xticklabels() if label in texts and not label.get_rotation()]
            for left, right in pairwise(label.get_window_extent() for label in labels):
                assert left.x1 <= right.x0 + 1, drawn.name


def visible_texts(figure: Figure) -> list[Text]:
    """Texts that are drawn; labels of ticks beyond the limits of an axis are not."""
    hidden = {
        id(label)
        for axis in figure.axes
        for side in (axis.xaxis, axis.yaxis)
        for tick in side.get_major_ticks()
        if not min(side.get_view_interval()) - 1e-9 <= tick.get_loc() <= max(side.get_view_interval()) + 1e-9
        for label in (tick.label1, tick.label2)
    }
    texts = figure.findobj(match=lambda artist: hasattr(artist, "get_fontsize") and artist.get_text())
    return [text for text in texts if text.get_visible() and id(text) not in hidden]
