"""One simulated eye: everything that is true of it, before any camera looks."""

from __future__ import annotations

from dataclasses import dataclass

from f2vbench.phantom.anatomy.landmarks import Anatomy
from f2vbench.phantom.anatomy.surface import FundusSurface
from f2vbench.phantom.anatomy.vessels import Vessels
from f2vbench.phantom.lesions.base import Lesion


@dataclass(frozen=True)
class Eye:
    """The truth of one eye, in millimetres of retina.

    Attributes:
        anatomy: landmarks and the drawn quantities.
        vessels: the artery and vein trees, as changed by disease.
        lesions: every lesion.
        surface: pigment and textures of retina and choroid.
        age: years; media, sheen and pigments follow it.
        haze: 0 for clear media to 1 for a dense cataract.
        seed: words that start the random numbers of this eye's images.
    """

    anatomy: Anatomy
    vessels: Vessels
    lesions: tuple[Lesion, ...]
    surface: FundusSurface
    age: float
    haze: float
    seed: tuple[int, ...]
