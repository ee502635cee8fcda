"""Choice of the interval and the t-test over seeds, and of the adjustment of p-values, for a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from f2vbench.errors import SettingsError, did_you_mean
from f2vbench.stats.citations import (
    BENJAMINI_HOCHBERG,
    CROSSED,
    HEDGES_G,
    HEDGES_G_Z,
    HOLM,
    MAX_T,
    NORMAL_INTERVAL,
    PAIRED_T,
    SCALED_STUDENT_INTERVAL,
    WELCH_T,
    Method,
)
from f2vbench.stats.intervals import MeanInterval
from f2vbench.stats.multiple_testing import adjust
from f2vbench.stats.result_classes import Comparison

SeedTest = Literal["paired", "welch"]
Adjustment = Literal["holm", "bh"]
_INTERVALS: dict[MeanInterval, Method] = {
    "crossed": CROSSED,
    "student": SCALED_STUDENT_INTERVAL,
    "papers": NORMAL_INTERVAL,
}


@dataclass(frozen=True)
class Procedure:
    """Test over seeds, adjustment of its p-values, and interval of means over seeds.

    Attributes:
        test: ``paired`` by seed, as in the papers, or ``welch`` for seeds that the models do not share.
        adjust: ``holm`` controls the family-wise error rate, ``bh`` (Benjamini–Hochberg) the false discovery rate.
        interval: ``crossed`` for other patients and other heads; over seeds only: ``student`` for Student's interval
            within the range of the metric, or ``papers`` for mean ± 1.96 standard errors.

    Raises:
        SettingsError: Unknown value of ``test``, ``adjust`` or ``interval``.

    Example:
        >>> procedure = Procedure(test="welch")
        >>> procedure.seed_test.name, procedure.effect_size.name, procedure.adjusted_label
        ("Welch's t-test", "Hedges' g", 'Holm-adjusted')
    """

    test: SeedTest = "paired"
    adjust: Adjustment = "holm"
    interval: MeanInterval = "crossed"

    def __post_init__(self) -> None:
        settings = (
            ("test", self.test, get_args(SeedTest)),
            ("adjust", self.adjust, get_args(Adjustment)),
            ("interval", self.interval, tuple(_INTERVALS)),
        )
        problems = [
            f"{name}={value}: must be one of {', '.join(known)}{did_you_mean(str(value), known)}"
            for name, value, known in settings
            if value not in known
        ]
        if problems:
            raise SettingsError(problems)

    @property
    def seed_test(self) -> Method:
        """The t-test over seeds."""
        return PAIRED_T if self.test == "paired" else WELCH_T

    @property
    def interval_method(self) -> Method:
        """The interval of means over seeds."""
        return _INTERVALS[self.interval]

    @property
    def effect_size(self) -> Method:
        """The effect size that belongs to the test."""
        return HEDGES_G_Z if self.test == "paired" else HEDGES_G

    @property
    def adjustment_method(self) -> Method:
        """The adjustment of p-values."""
        return HOLM if self.adjust == "holm" else BENJAMINI_HOCHBERG

    @property
    def adjusted_label(self) -> str:
        """Label of adjusted p-values, such as ``Holm-adjusted``."""
        return f"{self.adjustment_method.name}-adjusted"

    @property
    def selection_adjustment(self) -> Method:
        """The adjustment for the choice of a pair of models and for several comparisons together."""
        each = self.adjustment_method
        return Method(f"{MAX_T.name} and {each.name}", f"{MAX_T.citation}; {each.citation}")

    def adjust_selected(self, comparisons: Sequence[Comparison], selected: Sequence[float | None]) -> list[Comparison]:
        """Adjust p-values over all comparisons that were already adjusted for the choice of the pair.

        Args:
            comparisons: The family, with unadjusted p-values.
            selected: The p-value of each comparison after the adjustment for the choice of its pair
                (`crossed.max_t_adjusted`).

        Returns:
            The comparisons in the same order, with adjusted p-values; ``p`` stays unadjusted.

        Example:
            >>> from f2vbench.stats.t_tests import paired_t_test
            >>> test = paired_t_test([0.91, 0.93, 0.95], [0.90, 0.915, 0.94], variation="split")
            >>> [round(each.p_adjusted, 4) for each in Procedure().adjust_selected([test, test], [0.03, 0.2])]
            [0.06, 0.2]
        """
        chosen = [replace(each, p=p) for each, p in zip(comparisons, selected, strict=True)]
        return [
            replace(adjusted, p=each.p, adjustment=self.selection_adjustment if each.p is not None else None)
            for each, adjusted in zip(comparisons, self.adjust_all(chosen), strict=True)
        ]

    def adjust_all(self, comparisons: Sequence[Comparison]) -> list[Comparison]:
        """Adjust the p-values of comparisons over all of them.

        Args:
            comparisons: The family.

        Returns:
            The comparisons in the same order, with adjusted p-values.

        Example:
            >>> from f2vbench.stats.t_tests import paired_t_test
            >>> test = paired_t_test([0.91, 0.93, 0.95], [0.90, 0.915, 0.94], variation="split")
            >>> [round(each.p_adjusted, 4) for each in Procedure(adjust="bh").adjust_all([test, test])]
            [0.0198, 0.0198]
        """
        return adjust(comparisons, "holm" if self.adjust == "holm" else "benjamini-hochberg")
