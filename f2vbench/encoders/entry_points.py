"""Model families that other packages bring, behind the entry point ``f2vbench.encoders``."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from f2vbench.encoders.families import BUILT_IN
from f2vbench.errors import SettingsError

if TYPE_CHECKING:
    from f2vbench.encoders.base import Encoder
    from f2vbench.encoders.spec import ModelSpec

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


def build_from(point: metadata.EntryPoint, spec: ModelSpec) -> Encoder:
    """The encoder that an entry point makes of a spec, in evaluation mode.

    Raises:
        SettingsError: the entry point can't be imported, or gives something else.
    """
    from f2vbench.encoders.base import Encoder

    try:
        factory = point.load()
    except (ImportError, AttributeError) as error:
        raise SettingsError(
            f"model={spec.name}: {point.value} of the package {package(point)} can't be imported ({error}); "
            "reinstall or mend that package"
        ) from error
    encoder = factory(spec)
    if not isinstance(encoder, Encoder):
        raise SettingsError(
            f"model={spec.name}: {point.value} of the package {package(point)} gave a {type(encoder).__name__}; "
            "it has to return a f2vbench.encoders.base.Encoder"
        )
    return encoder.eval()
