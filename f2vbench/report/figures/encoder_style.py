"""How encoders are drawn: each has the same colour, marker and hatch in every figure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from f2vbench.analysis.frames import PRETRAINED_MARK
from f2vbench.encoders.model_family import UNTRAINED
from f2vbench.encoders.registry import FAMILIES

if TYPE_CHECKING:
    from pandas import DataFrame

# Model families have colours of Okabe and Ito in the registry, other encoders have those of Tol's "muted" scheme;
# colour-blind readers can distinguish both.
_FAMILY_COLOURS = {family.name: family.colour for family in FAMILIES.values() if family.colour is not None}
_OTHER_COLOURS = ("#332288", "#882255", "#117733", "#999933", "#44AA99", "#AA4499", "#88CCEE", "#CC6677", "#DDCC77")
_BASELINES = tuple(family.name for family in FAMILIES.values() if family.is_baseline)
_GREYS = ("#5A5A5A", "#8C8C8C", "#767676", "#A6A6A6", "#404040", "#6A6A6A", "#989898", "#B4B4B4")
_HATCHES = ("////", "\\\\\\\\", "....", "----", "xxxx", "||||", "++++", "oooo")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "h", "<", ">", "*")
_BASELINE_MARKERS = ("x", "+", "o", "s", "^", "D", "v", "p")


@dataclass(frozen=True)
class EncoderStyle:
    """Colour, marker and hatch of one encoder.

    Baselines are grey and hatched, untrained encoders are hollow.

    Attributes:
        name: Name of the encoder.
        colour: Hexadecimal colour.
        marker: Marker of matplotlib.
        baseline: Whether the encoder is a baseline.
        untrained: Whether its weights are untrained.
        hatch: Hatch pattern of matplotlib; empty unless it is a baseline.
        pretrained: Tasks whose images its weights were trained on.
    """

    name: str
    colour: str
    marker: str
    baseline: bool = False
    untrained: bool = False
    hatch: str = ""
    pretrained: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Text in legends: the name, with ``(baseline)`` or ``(untrained)`` where the name does not say so.

        A model that was trained on images of a task has a mark.
        """
        if self.baseline:
            return f"{self.name} (baseline)"
        name = f"{self.name} {PRETRAINED_MARK}" if self.pretrained else self.name
        return name if not self.untrained or UNTRAINED in self.name else f"{name} (untrained)"

    @property
    def dashes(self) -> Any:
        """Line style: solid for trained encoders, dashed for untrained ones, dotted for baselines."""
        if self.baseline:
            return (0, (1, 1.2))
        return (0, (4, 1.6)) if self.untrained else "-"

    def bar(self) -> dict[str, Any]:
        """Keyword arguments for bars, boxes and patches in legends."""
        face = "#F2F2F2" if self.baseline else "white" if self.untrained else self.colour
        return {"facecolor": face, "edgecolor": self.colour, "hatch": self.hatch}

    def points(self) -> dict[str, Any]:
        """Keyword arguments of ``Axes.plot`` for markers without a line."""
        hollow = self.untrained or self.baseline
        face = "white" if hollow else self.colour
        return {"marker": self.marker, "markerfacecolor": face, "markeredgecolor": self.colour, "linestyle": "none"}

    def line(self) -> dict[str, Any]:
        """Keyword arguments of ``Axes.plot`` for a line with markers."""
        return {**self.points(), "linestyle": self.dashes, "color": self.colour}


def encoder_styles(frame: DataFrame) -> dict[str, EncoderStyle]:
    """Styles of all encoders of a table, in the order of legends: trained, untrained, baselines.

    Args:
        frame: Table with the columns ``encoder``, ``weights`` and ``baseline``; of results also ``task`` and
            ``pretrained``.

    Returns:
        Name of the encoder → style.
    """
    encoders = frame.drop_duplicates("encoder").set_index("encoder")
    baselines = [name for name in encoders.index if encoders.baseline[name]]
    untrained = {name for name in encoders.index if encoders.weights[name] == UNTRAINED}
    models = [name for name in encoders.index if name not in baselines]
    models.sort(key=lambda name: (name in untrained, _family_rank(name), name))
    colours = encoder_colours(encoders.index, baselines)
    marked = frame[frame.pretrained] if "pretrained" in frame else frame[:0]
    tasks = {name: tuple(sorted(set(own.task))) for name, own in marked.groupby("encoder")}
    styles = {
        name: EncoderStyle(
            name,
            colours[name],
            _MARKERS[i % len(_MARKERS)],
            untrained=name in untrained,
            pretrained=tasks.get(name, ()),
        )
        for i, name in enumerate(models)
    }
    for i, name in enumerate(_sort_baselines(baselines)):
        marker, hatch = _BASELINE_MARKERS[i % len(_BASELINE_MARKERS)], _HATCHES[i % len(_HATCHES)]
        styles[name] = EncoderStyle(name, colours[name], marker, baseline=True, hatch=hatch)
    return styles


def encoder_colours(encoders: Iterable[str], baselines: Collection[str] = _BASELINES) -> dict[str, str]:
    """Colour of each encoder, independent of the order of the names.

    The alphabetically first encoder of a family has the colour of the family. Its first untrained encoder has the same
    colour, because hollow marks distinguish it. All others share the remaining colours in alphabetical order, and
    lighter shades once these are used up. Baselines are grey.

    Args:
        encoders: Names of the encoders.
        baselines: Names of those that are baselines.

    Returns:
        Name of the encoder → hexadecimal colour.
    """
    names = sorted(set(encoders), key=lambda name: (UNTRAINED in name, name))
    colours: dict[str, str] = {}
    taken: set[tuple[str, bool]] = set()
    others = []
    for name in names:
        family, untrained = _family(name), UNTRAINED in name
        if name in baselines:
            continue
        if family is None or (family, untrained) in taken:
            others.append(name)
        else:
            taken.add((family, untrained))
            colours[name] = _FAMILY_COLOURS[family]
    for i, name in enumerate(sorted(others)):
        colours[name] = _lighten(_OTHER_COLOURS[i % len(_OTHER_COLOURS)], i // len(_OTHER_COLOURS))
    for i, name in enumerate(_sort_baselines(set(names) & set(baselines))):
        colours[name] = _GREYS[i % len(_GREYS)]
    return {name: colours[name] for name in encoders}


def _family(name: str) -> str | None:
    """The family of an encoder, of those that have a colour."""
    for family in _FAMILY_COLOURS:
        if name == family or name.startswith((f"{family}:", f"{family}-")):
            return family
    return None


def _family_rank(name: str) -> int:
    family = _family(name)
    return len(_FAMILY_COLOURS) if family is None else list(_FAMILY_COLOURS).index(family)


def _sort_baselines(names: Iterable[str]) -> list[str]:
    """Built-in baselines in the order of the registry, then others by name."""
    return sorted(names, key=lambda name: (_BASELINES.index(name) if name in _BASELINES else len(_BASELINES), name))


def _lighten(colour: str, times: int) -> str:
    """Mix a hexadecimal colour with 40 % white, ``times`` times."""
    channels = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    for _ in range(times):
        channels = [round(channel + (255 - channel) * 0.4) for channel in channels]
    return "#" + "".join(f"{channel:02X}" for channel in channels)
