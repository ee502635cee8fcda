"""Results of intervals and tests: frozen records that can be written as a sentence.

A number that cannot be computed is None, never NaN, and ``reason`` says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from f2vbench.stats.citations import Method
from f2vbench.utils.text import p_value, plural

VariationSource = Literal["head seed", "episode", "split", "test patients", "tasks"]
"""What differs between the values of a sample. A p-value or an interval generalizes over these sources only."""

_GENERALIZES_TO: dict[VariationSource, str] = {
    "test patients": "patients",
    "split": "splits",
    "episode": "support images",
    "head seed": "heads",
    "tasks": "tasks",
}

Variation = tuple[VariationSource, ...]
VariationLike = VariationSource | Sequence[VariationSource]
Verdict = Literal["better", "worse", "not significant", "no test"]


@dataclass(frozen=True)
class RequiredSampleSize:
    """Number of seeds, splits or patients that a test needs to detect the observed difference.

    Attributes:
        n: Smallest sufficient number; None where no number suffices.
        power: Probability that the test detects the difference.
        alpha: Significance level of the two-sided test.
        reason: Why ``n`` is None.
    """

    n: int | None
    power: float = 0.8
    alpha: float = 0.05
    reason: str = ""

    def sentence(self, unit: str) -> str:
        """Write the number as a clause.

        Args:
            unit: What is counted, e.g. ``seeds``.

        Returns:
            A clause without a full stop; the reason where no number suffices.

        Example:
            >>> RequiredSampleSize(17).sentence("seeds")
            'about 17 seeds would be needed to detect the observed difference with 80 % power'
        """
        if self.n is None:
            return self.reason
        count = self.count_text(unit)
        return f"{count} would be needed to detect the observed difference with {100 * self.power:g} % power"

    def count_text(self, unit: str) -> str:
        """Write the number alone.

        Args:
            unit: What is counted, e.g. ``seeds``.

        Returns:
            The number with its unit; empty where no number suffices. Numbers of 1,000 and more are rounded to two
            digits, as they are estimates.

        Example:
            >>> RequiredSampleSize(1234).count_text("patients")
            'about 1,200 patients'
        """
        if self.n is None:
            return ""
        rounded = self.n if self.n < 1000 else int(float(f"{self.n:.2g}"))
        return f"about {rounded:,} {unit}"


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """An estimate with its confidence interval.

    Attributes:
        method: How the interval is computed.
        variation: What differs between the values of the sample.
        n: Sample size, in ``unit``.
        unit: ``seeds``, ``splits``, ``patients``, ``images`` or ``tasks``.
        value: The estimate; None where it is undefined.
        sd: Standard deviation of a single value.
        se: Standard error of ``value``.
        low: Lower end of the interval.
        high: Upper end of the interval.
        confidence: Confidence level of the interval.
        reason: Why a number is None.
        note: Details, such as the number of positive images.
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
        """Write the estimate as a sentence.

        Args:
            name: What is estimated, e.g. ``AUROC``.

        Returns:
            A sentence without a full stop.

        Example:
            >>> from f2vbench.stats.intervals import student_interval
            >>> interval = student_interval([0.91, 0.93, 0.95, 0.90, 0.92], variation="split")
            >>> print(interval.sentence("AUROC"))  # doctest: +NORMALIZE_WHITESPACE
            AUROC is 0.9220 [0.8981, 0.9459] (95 % interval by Student's interval of the mean; n = 5 seeds;
            split varies)
        """
        basis = f"{self.method.name}; n = {self.n:,} {self.unit}; {describe_variation(self.variation)}"
        if self.value is None:
            return f"{name} has no value: {self.reason} ({basis})"
        if self.low is None or self.high is None:
            return f"{name} is {self.value:.4f}, without an interval: {self.reason} ({basis})"
        interval = f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"
        return f"{name} is {interval} ({100 * self.confidence:g} % interval by {basis})"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Result of a two-sided test of a first model against a second.

    Attributes:
        method: The test.
        variation: What differs between the values of the sample.
        n: Sample size, in ``unit``.
        unit: ``seeds``, ``splits``, ``patients``, ``images`` or ``tasks``.
        difference: First − second, in units of the metric; for the signed-rank test the pseudomedian.
        statistic: Test statistic of ``method``, e.g. t or z.
        p: Two-sided p-value.
        low: Lower end of the interval of ``difference``.
        high: Upper end of the interval of ``difference``.
        confidence: Confidence level of the interval.
        p_adjusted: p-value adjusted over a family of comparisons, see `f2vbench.stats.multiple_testing.adjust`.
        adjustment: Method of the adjustment.
        smallest_p: Smallest p-value that the test can return at this sample size, for tests where it is not negligible.
        required: Sample size that would detect ``difference``; None where there is no test.
        reason: Why a number is None.
        note: Details, such as the number of positive images.
        seeds: Number of seeds of a test over patients and seeds at once; None for other tests.
        se: Standard error of ``difference``, of tests that compare its ratio to it with a t or normal distribution.
        df: Degrees of freedom of that distribution; infinite for the normal distribution.
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
    seeds: int | None = None
    se: float | None = None
    df: float | None = None

    @property
    def sample(self) -> str:
        """``20 patients and 5 seeds``, ``5 seeds``."""
        sample = f"{self.n:,} {self.unit}"
        return sample if self.seeds is None else f"{sample} and {plural(self.seeds, 'seed')}"

    def verdict(self, alpha: float = 0.05, higher_is_better: bool = True) -> Verdict:
        """Whether the first model is better or worse than the second.

        Args:
            alpha: Significance level. It is compared with the adjusted p-value where there is one.
            higher_is_better: Direction of the metric.

        Returns:
            ``better``, ``worse``, ``not significant``, or ``no test`` where there is no p-value.

        Example:
            >>> from f2vbench.stats.t_tests import paired_t_test
            >>> paired_t_test([0.91, 0.93, 0.95], [0.90, 0.915, 0.94], variation="split").verdict()
            'better'
        """
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
        """Write the comparison as a sentence.

        Args:
            first: Name of the first model.
            second: Name of the second model.
            metric: Name of the metric.
            alpha: Significance level.
            higher_is_better: Direction of the metric.

        Returns:
            A sentence without a full stop: the verdict, the numbers, the test and its sample size. Where the difference
            is not significant, also the sample size that would detect it.

        Example:
            >>> from f2vbench.stats.t_tests import paired_t_test
            >>> test = paired_t_test([0.91, 0.93, 0.95], [0.90, 0.915, 0.94], variation="split")
            >>> print(test.sentence("a", "b", "AUROC"))  # doctest: +NORMALIZE_WHITESPACE
            a is better than b: AUROC differs by +0.0117 [+0.0045, +0.0188], p = 0.0198 (paired t-test, n = 3 seeds;
            split varies)
        """
        verdict = self.verdict(alpha, higher_is_better)
        basis = f"{self.method.name}, n = {self.sample}; {describe_variation(self.variation)}"
        if verdict == "no test":
            return f"{first} and {second} cannot be compared by {metric}: {self.reason} ({basis})"
        numbers = f"{metric} differs by {_difference_text(self)}, {_p_text(self)}"
        if verdict != "not significant":
            return f"{first} is {verdict} than {second}: {numbers} ({basis})"
        parts = [f"{first} and {second} do not differ significantly at n = {self.sample}: {numbers} ({basis})"]
        if self.smallest_p is not None and self.smallest_p >= alpha:
            parts.append(f"at this n the smallest possible p is {self.smallest_p:.4g}, so no difference is significant")
        if self.required is not None:
            parts.append(self.required.sentence(self.unit))
        return "; ".join(parts)


def as_variation(variation: VariationLike) -> Variation:
    """Convert one or several sources of variation to a tuple.

    Args:
        variation: A source, or a sequence of sources.

    Returns:
        At least one source.

    Raises:
        ValueError: No source, or an unknown one.

    Example:
        >>> as_variation("split")
        ('split',)
    """
    sources = (variation,) if isinstance(variation, str) else tuple(variation)
    known = get_args(VariationSource)
    unknown = [source for source in sources if source not in known]
    if unknown or not sources:
        raise ValueError(f"variation must be one or more of {', '.join(known)}, not {unknown or 'nothing'}")
    return sources


def sampling_unit(variation: Sequence[VariationSource]) -> str:
    """Unit in which the sample size is counted.

    Args:
        variation: Sources of variation.

    Returns:
        ``patients`` or ``tasks`` where only these differ, else ``seeds``, as a seed draws everything else.

    Example:
        >>> sampling_unit(["test patients"]), sampling_unit(["episode", "head seed"])
        ('patients', 'seeds')
    """
    units = {"test patients": "patients", "tasks": "tasks"}
    return units.get(variation[0], "seeds") if len(variation) == 1 else "seeds"


def describe_variation(variation: Sequence[VariationSource]) -> str:
    """Write the sources of variation as a clause.

    Args:
        variation: At least one source.

    Returns:
        A clause such as ``split varies``.

    Example:
        >>> describe_variation(["episode", "split", "head seed"])
        'episode, split and head seed vary'
    """
    *head, last = variation
    names = f"{', '.join(head)} and {last}" if head else last
    return f"{names} {'varies' if len(variation) == 1 and not last.endswith('s') else 'vary'}"


def describe_generalization(variation: Sequence[VariationSource]) -> str:
    """Write what a test with these sources of variation generalizes to.

    Args:
        variation: At least one source.

    Returns:
        A noun phrase.

    Example:
        >>> describe_generalization(["test patients", "episode", "head seed"])
        'other patients, support images and heads'
        >>> describe_generalization(["test patients"])
        'other patients, with the heads as trained'
    """
    if tuple(variation) == ("test patients",):
        return "other patients, with the heads as trained"
    *others, last = [_GENERALIZES_TO[source] for source in variation]
    return f"other {', '.join(others)} and {last}" if others else f"other {last}"


def _difference_text(result: Comparison) -> str:
    text = f"{result.difference:+.4f}"
    if result.low is None or result.high is None:
        return text
    return f"{text} [{result.low:+.4f}, {result.high:+.4f}]"


def _p_text(result: Comparison) -> str:
    texts = [p_value(p, equation=True) for p in (result.p, result.p_adjusted) if p is not None]
    if result.adjustment is not None:
        texts[-1] = f"{result.adjustment.name}-adjusted {texts[-1]}"
    return ", ".join(texts)
