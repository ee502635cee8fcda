"""Model families that other packages bring, behind the entry point ``f2vbench.encoders``."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from f2vbench.encoders.catalogue import BUILT_IN
from f2vbench.errors import SettingsError

if TYPE_CHECKING:
    pass

ENTRY_POINTS = "f2vbench.encoders"


def entry_points() -> dict[str, metadata.EntryPoint]:
    """What installed packages bring, by family.

    Raises:
        SettingsError: a family's name is a built-in one's or brought twice.
    """
    points: dict[str, metadata.EntryPoint] = {}
    for point in metadata.entry_points(group=ENTRY_POINTS):
        if point.name in (*points, *BUILT_IN):
            raise SettingsError(
                f"the package {package(point)} adds a model family named '{point.name}', but there is one already; "
                "uninstall it or ask its authors for another name"
            )
        points[point.name] = point
    return points


def package(point: metadata.EntryPoint) -> str:
    """Name and version of the package behind an entry point."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value
