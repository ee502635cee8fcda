"""What an interval or a test says: small frozen records, with a verdict in words.

A number that can't be had is None, and ``reason`` says why; there is never a NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from f2vbench.stats.citations import Method
from f2vbench.utils.text import p_value

VariationSource = Literal["head seed", "episode", "split", "test patients", "tasks"]
Variation = tuple[VariationSource, ...]
VariationLike = VariationSource | Sequence[VariationSource]
Verdict = Literal["better", "worse", "not significant", "no test"]


@dataclass(frozen=True)
class RequiredSampleSize:
    """How many seeds, splits or patients a test would need for the difference seen.

    Attributes:
        n: the smallest number; None where no number would do, and ``reason`` says why.
    """

    n: int | None
    power: float = 0.8
    alpha: float = 0.05
    reason: str = ""

    def sentence(self, unit: str) -> str:
        """``about 17 seeds would be needed to find the difference seen with 80 % power``"""
        if self.n is None:
            return self.reason
        about = self.n if self.n < 1000 else int(float(f"{self.n:.2g}"))  # an estimate, not a count
        return f"about {about:,} {unit} would be needed to find the difference seen with {100 * self.power:g} % power"


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One quantity with its interval.

    Attributes:
        value: None where it is undefined.
        n: how many of ``unit`` (seeds, patients, images, …) it rests on.
        variation: what is another in each of them; the interval says nothing of anything else.
        sd, se: standard deviation of one value and standard error of ``value``.
        low, high: interval at ``confidence``.
        reason: why a number is None.
        note: what a reader should know of this result.
    """

    method: Method
    variation: Variation
    n: int
    unit: str
    value: float | None
    sd: float | None = None
    se: float | None = None
    low: float | None = None
    high: float | None = None
    confidence: float = 0.95
    reason: str = ""
    note: str = ""

    def sentence(self, name: str = "the value") -> str:
        """``AUROC is 0.9012 [0.8811, 0.9180] (95 % interval by …; n = 200 patients; test patients vary)``"""
        basis = f"{self.method.name}; n = {self.n:,} {self.unit}; {describe_variation(self.variation)}"
        if self.value is None:
            return f"{name} has no value: {self.reason} ({basis})"
        if self.low is None or self.high is None:
            return f"{name} is {self.value:.4f}, without an interval: {self.reason} ({basis})"
        shown = f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"
        return f"{name} is {shown} ({100 * self.confidence:g} % interval by {basis})"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A two-sided test of first against second.

    Attributes:
        n: how many of ``unit`` the test rests on.
        variation: what is another in each of them; the p-value says nothing of anything else.
        difference: first − second, in units of the metric (for the signed-rank test, its pseudomedian).
        statistic: t, z or what ``method`` has.
        p, low, high: p-value, and interval of ``difference`` at ``confidence``.
        p_adjusted: p after the ``adjustment`` over a family of comparisons (`correction.adjust`).
        smallest_p: the smallest p this test can give at this n, where that is no tiny number.
        needed: for the difference seen; None where there is no test.
        reason: why a number is None.
        note: what a reader should know of this result.
    """

    method: Method
    variation: Variation
    n: int
    unit: str
    difference: float | None
    statistic: float | None = None
    p: float | None = None
    low: float | None = None
    high: float | None = None
    confidence: float = 0.95
    p_adjusted: float | None = None
    adjustment: Method | None = None
    smallest_p: float | None = None
    required: RequiredSampleSize | None = None
    reason: str = ""
    note: str = ""

    def verdict(self, alpha: float = 0.05, higher_is_better: bool = True) -> Verdict:
        """Of the first, by the adjusted p where there is one."""
        p = self.p if self.p_adjusted is None else self.p_adjusted
        if p is None or self.difference is None:
            return "no test"
        if p >= alpha or self.difference == 0:
            return "not significant"
        return "better" if (self.difference > 0) == higher_is_better else "worse"

    def sentence(
        self,
        first: str = "the first",
        second: str = "the second",
        metric: str = "the metric",
        alpha: float = 0.05,
        higher_is_better: bool = True,
    ) -> str:
        """The verdict with its numbers, what they rest on, and what more it would take."""
        verdict = self.verdict(alpha, higher_is_better)
        basis = f"{self.method.name}, n = {self.n:,} {self.unit}; {describe_variation(self.variation)}"
        if verdict == "no test":
            return f"{first} against {second}, {metric}: no test is possible: {self.reason} ({basis})"
        numbers = f"{metric} differs by {_difference_text(self)}, {_p_text(self)}"
        if verdict != "not significant":
            return f"{first} is {verdict} than {second}: {numbers} ({basis})"
        parts = [f"{first} and {second} do not differ significantly at n = {self.n:,} {self.unit}: {numbers} ({basis})"]
        if self.smallest_p is not None and self.smallest_p >= alpha:
            parts.append(f"at this n the test's smallest p is {self.smallest_p:.4g}, so it can't tell any two apart")
        if self.required is not None:
            parts.append(self.required.sentence(self.unit))
        return "; ".join(parts)


def as_variation(variation: VariationLike) -> Variation:
    """One thing that varies, or several, as a tuple.

    Raises:
        ValueError: nothing, or a word that isn't known.
    """
    names = (variation,) if isinstance(variation, str) else tuple(variation)
    known = get_args(VariationSource)
    wrong = [name for name in names if name not in known]
    if wrong or not names:
        raise ValueError(f"say what varies by one or more of {', '.join(known)}, not {wrong or 'nothing'}")
    return names


def sampling_unit(variation: Sequence[VariationSource]) -> str:
    """What there are n of: ``patients``, ``tasks``, or ``seeds`` where a seed draws whatever varies."""
    units = {"test patients": "patients", "tasks": "tasks"}
    return units.get(variation[0], "seeds") if len(variation) == 1 else "seeds"


def describe_variation(variation: Sequence[VariationSource]) -> str:
    """``episode, split and head seed vary``"""
    *head, last = variation
    names = f"{', '.join(head)} and {last}" if head else last
    return f"{names} {'varies' if len(variation) == 1 and not last.endswith('s') else 'vary'}"


def _difference_text(result: Comparison) -> str:
    shown = f"{result.difference:+.4f}"
    if result.low is None or result.high is None:
        return shown
    return f"{shown} [{result.low:+.4f}, {result.high:+.4f}]"


def _p_text(result: Comparison) -> str:
    texts = [p_value(p, equation=True) for p in (result.p, result.p_adjusted) if p is not None]
    if result.adjustment is not None:
        texts[-1] = f"{result.adjustment.name}-adjusted {texts[-1]}"
    return ", ".join(texts)
