"""One look for all figures: widths, fonts, and a colour, hatch and marker that an encoder keeps everywhere."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from f2vbench.errors import SettingsError, did_you_mean

if TYPE_CHECKING:
    from pandas import DataFrame

MILLIMETRE = 1 / 25.4
"""In inches."""
INK, PALE, GRID = "#222222", "#BDBDBD", "#E4E4E4"
GOOD, MISSED, FALSE = "#009E73", "#D55E00", "#56B4E9"
"""Of what is found, what is missed and what is found wrongly."""

# Okabe and Ito's colours, which colour-blind people tell apart, for the families at hand; then Tol's "muted".
_FAMILIES = {
    "fundus2video": "#0072B2",
    "fundus2fa": "#D55E00",
    "pix2pixhd": "#009E73",
    "retfound-green": "#56B4E9",
    "retfound": "#CC79A7",
    "mae": "#E69F00",
}
_OTHERS = ("#332288", "#882255", "#117733", "#999933", "#44AA99", "#AA4499", "#88CCEE", "#CC6677", "#DDCC77")
_BASELINES = ("tophat", "sato", "frangi", "green", "scratch", "thumbnail", "colour", "random")
_GREYS = ("#5A5A5A", "#8C8C8C", "#767676", "#A6A6A6", "#404040", "#6A6A6A", "#989898", "#B4B4B4")
_HATCHES = ("////", "\\\\\\\\", "....", "----", "xxxx", "||||", "++++", "oooo")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "h", "<", ">", "*")
_BASELINE_MARKERS = ("x", "+", "o", "s", "^", "D", "v", "p")
_FONTS = ("Arial", "Helvetica", "Liberation Sans", "DejaVu Sans")
_LETTER_OF_TITLE = 1.6  # mm, of bold letters of 8 points on average
UNTRAINED = "untrained"


@dataclass(frozen=True)
class Style:
    """Sizes of a medium.

    Attributes:
        width: of a figure in mm; `wide` and `single` are the medium's own two.
        single: of one column in mm.
        text, heading: in points.
        line: in points.
    """

    name: str
    width: float
    single: float
    text: float
    heading: float
    line: float

    @property
    def column(self) -> Style:
        """The same, one column wide."""
        return replace(self, width=self.single)

    @property
    def inches(self) -> float:
        return self.width * MILLIMETRE

    @property
    def is_narrow(self) -> bool:
        """Whether two panels with their labels don't fit beside each other."""
        return self.width < 13.5 * self.text

    def columns(self, panels: int, least: float = 42, titles: Iterable[str] = ()) -> int:
        """How many of so many panels stand in a row, rows filled evenly.

        Args:
            least: width of a panel in mm with text of 7 points.
            titles: of the panels, which must not run into each other.
        """
        wanted = max([least, *(_LETTER_OF_TITLE * (len(title) + 3) for title in titles)])  # with "a  " before each
        fitting = max(1, min(panels, int(self.width // (wanted * self.text / 7))))
        return math.ceil(panels / math.ceil(panels / fitting))

    def square(self, columns: int, besides: float = 1) -> float:
        """Height in mm, for text of 7 points, of a row of square panels; few panels don't grow beyond 76 mm.

        Args:
            besides: what titles and labels above and below take more than those at the sides.
        """
        return min(76.0, self.width / columns * 7 / self.text) + besides

    def height(self, millimetres: float) -> float:
        """Inches of a height that is given for text of 7 points."""
        return millimetres * MILLIMETRE * self.text / 7

    def settings(self) -> dict[Any, Any]:
        """For ``matplotlib.rc_context``. Fonts are embedded in PDF as TrueType; text of SVG stays text."""
        return {
            "font.family": "sans-serif",
            "font.sans-serif": _available_fonts(),
            "mathtext.default": "regular",
            "font.size": self.text,
            "axes.titlesize": self.text,
            "axes.labelsize": self.text,
            "xtick.labelsize": self.text,
            "ytick.labelsize": self.text,
            "legend.fontsize": self.text,
            "figure.titlesize": self.heading,
            "axes.titlelocation": "left",
            "axes.titleweight": "bold",
            "axes.titlepad": 0.6 * self.text,
            "axes.linewidth": 0.8 * self.line,
            "axes.edgecolor": INK,
            "axes.labelcolor": INK,
            "axes.labelpad": 0.4 * self.text,
            "axes.axisbelow": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "text.color": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "xtick.major.width": 0.8 * self.line,
            "ytick.major.width": 0.8 * self.line,
            "xtick.major.size": 0.4 * self.text,
            "ytick.major.size": 0.4 * self.text,
            "lines.linewidth": 1.5 * self.line,
            "lines.markersize": 0.6 * self.text,
            "patch.linewidth": self.line,
            "hatch.linewidth": 0.8 * self.line,
            "grid.color": GRID,
            "grid.linewidth": 0.7 * self.line,
            "legend.frameon": False,
            "legend.handlelength": 1.6,
            "legend.columnspacing": 1.4,
            "legend.labelspacing": 0.35,
            "pdf.fonttype": 42,
            "ps.fonttype": 42,
            "svg.fonttype": "none",
            "svg.hashsalt": "f2vbench",
            "pdf.compression": 6,
            "text.parse_math": False,  # a $ in a name is a $
        }


STYLES = {
    "nature": Style("nature", 183, 89, 7, 8, 0.7),
    "lncs": Style("lncs", 122, 58, 7, 8, 0.7),
    "slides": Style("slides", 300, 145, 14, 16, 1.3),
}


def style_named(name: str | Style) -> Style:
    """A style by name: ``nature`` (183 and 89 mm, 7 and 8 pt), ``lncs`` (122 and 58 mm) or ``slides`` (300 mm, 14 pt).

    Raises:
        SettingsError: there is no such style.
    """
    if isinstance(name, Style):
        return name
    if name not in STYLES:
        raise SettingsError(f"style={name}: there are {', '.join(STYLES)}{did_you_mean(name, STYLES)}")
    return STYLES[name]


@dataclass(frozen=True)
class Look:
    """How an encoder is drawn: baselines grey and hatched, untrained ones hollow, each with a marker of its own."""

    encoder: str
    colour: str
    marker: str
    baseline: bool = False
    untrained: bool = False
    hatch: str = ""

    @property
    def label(self) -> str:
        """In legends: what it is, where the name doesn't tell."""
        if self.baseline:
            return f"{self.encoder} (baseline)"
        return self.encoder if not self.untrained or UNTRAINED in self.encoder else f"{self.encoder} (untrained)"

    @property
    def dashes(self) -> Any:
        """Line style: solid where trained, dashed where untrained, dotted for baselines."""
        if self.baseline:
            return (0, (1, 1.2))
        return (0, (4, 1.6)) if self.untrained else "-"

    def bar(self) -> dict[str, Any]:
        """Keywords of bars, boxes and legend patches."""
        face = "#F2F2F2" if self.baseline else "white" if self.untrained else self.colour
        return {"facecolor": face, "edgecolor": self.colour, "hatch": self.hatch}

    def points(self) -> dict[str, Any]:
        """Keywords of ``Axes.plot`` for markers without a line."""
        hollow = self.untrained or self.baseline
        face = "white" if hollow else self.colour
        return {"marker": self.marker, "markerfacecolor": face, "markeredgecolor": self.colour, "linestyle": "none"}

    def line(self) -> dict[str, Any]:
        """Keywords of ``Axes.plot`` for a line with markers."""
        return {**self.points(), "linestyle": self.dashes, "color": self.colour}


def colour_of(encoders: Iterable[str], baselines: Collection[str] = _BASELINES) -> dict[str, str]:
    """Colour of each encoder, the same whatever order they come in.

    The first of a known family, in the order of names, has the family's colour, and untrained ones the colour of
    their family as well: what is hollow is not confused with what is filled. Further ones and other families have the
    remaining colours by the order of their names, and lighter ones of them when these are used up. Baselines are grey.
    """
    names = sorted(set(encoders), key=lambda name: (UNTRAINED in name, name))
    colours: dict[str, str] = {}
    given: set[tuple[str, bool]] = set()
    rest = []
    for name in names:
        family, untrained = _family(name), UNTRAINED in name
        if name in baselines:
            continue
        if family is None or (family, untrained) in given:
            rest.append(name)
        else:
            given.add((family, untrained))
            colours[name] = _FAMILIES[family]
    for place, name in enumerate(sorted(rest)):
        colours[name] = _lighter(_OTHERS[place % len(_OTHERS)], place // len(_OTHERS))
    for place, name in enumerate(_in_order(set(names) & set(baselines), _BASELINES)):
        colours[name] = _GREYS[place % len(_GREYS)]
    return {name: colours[name] for name in encoders}


def looks_of(frame: DataFrame) -> dict[str, Look]:
    """How the encoders of a tidy table are drawn, in the order of legends: trained, untrained, baselines.

    Args:
        frame: with ``encoder``, ``weights`` and ``baseline``.
    """
    known = frame.drop_duplicates("encoder").set_index("encoder")
    baselines = [name for name in known.index if known.baseline[name]]
    untrained = {name for name in known.index if known.weights[name] == UNTRAINED}
    models = [name for name in known.index if name not in baselines]
    order = sorted(models, key=lambda name: (name in untrained, _rank(name), name))
    colours = colour_of(known.index, baselines)
    looks = {
        name: Look(name, colours[name], _MARKERS[place % len(_MARKERS)], untrained=name in untrained)
        for place, name in enumerate(order)
    }
    for place, name in enumerate(_in_order(baselines, _BASELINES)):
        marker, hatch = _BASELINE_MARKERS[place % len(_BASELINE_MARKERS)], _HATCHES[place % len(_HATCHES)]
        looks[name] = Look(name, colours[name], marker, baseline=True, hatch=hatch)
    return looks


def _family(name: str) -> str | None:
    return next((known for known in _FAMILIES if name == known or name.startswith((f"{known}:", f"{known}-"))), None)


def _rank(name: str) -> int:
    family = _family(name)
    return len(_FAMILIES) if family is None else list(_FAMILIES).index(family)


def _in_order(names: Iterable[str], known: tuple[str, ...]) -> list[str]:
    return sorted(names, key=lambda name: (known.index(name) if name in known else len(known), name))


def _lighter(colour: str, times: int) -> str:
    parts = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    for _ in range(times):
        parts = [round(part + (255 - part) * 0.4) for part in parts]
    return "#" + "".join(f"{part:02X}" for part in parts)


@cache
def _available_fonts() -> list[str]:
    """Those of the style that this machine has; DejaVu Sans comes with matplotlib."""
    from matplotlib.font_manager import fontManager

    there = set(fontManager.get_font_names())
    return [name for name in _FONTS if name in there]
