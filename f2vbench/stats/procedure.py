"""Which t-test compares models over seeds, and how p-values are adjusted for the number of comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from f2vbench.errors import SettingsError, did_you_mean
from f2vbench.stats.citations import BENJAMINI_HOCHBERG, HEDGES_G, HEDGES_G_Z, HOLM, PAIRED_T, WELCH_T, Method
from f2vbench.stats.multiple_testing import adjust
from f2vbench.stats.result_classes import Comparison

SeedTest = Literal["paired", "welch"]
Adjustment = Literal["holm", "bh"]


@dataclass(frozen=True)
class Procedure:
    """What a report's p-values are.

    Attributes:
        test: over seeds: ``paired`` by seed, as in the papers, or ``welch``, for seeds that are not shared.
        adjust: ``holm``, against any false find, or ``bh`` (Benjamini–Hochberg), against too many of them.

    Raises:
        SettingsError: another word for one of them.
    """

    test: SeedTest = "paired"
    adjust: Adjustment = "holm"

    def __post_init__(self) -> None:
        given = (("test", self.test, get_args(SeedTest)), ("adjust", self.adjust, get_args(Adjustment)))
        problems = [
            f"{name}={word}: must be one of {', '.join(known)}{did_you_mean(str(word), known)}"
            for name, word, known in given
            if word not in known
        ]
        if problems:
            raise SettingsError(problems)

    @property
    def seed_test(self) -> Method:
        return PAIRED_T if self.test == "paired" else WELCH_T

    @property
    def effect_size(self) -> Method:
        """The size of a difference that goes with the test."""
        return HEDGES_G_Z if self.test == "paired" else HEDGES_G

    @property
    def adjustment_method(self) -> Method:
        return HOLM if self.adjust == "holm" else BENJAMINI_HOCHBERG

    @property
    def adjusted_label(self) -> str:
        """``Holm-adjusted``"""
        return f"{self.adjustment_method.name}-adjusted"

    def adjust_all(self, comparisons: Sequence[Comparison]) -> list[Comparison]:
        """The same comparisons with their p adjusted over all of them."""
        return adjust(comparisons, "holm" if self.adjust == "holm" else "benjamini-hochberg")
