"""Type I error, coverage and power of the tests over patients and seeds, by simulation.

    python -m benchmarks.crossed_calibration [--studies 1000] [--only splits] [--resampled 400]

For each situation of `crossed_studies.py`:

- rejections at 0.05 of two equal models, by the crossed test (`f2vbench.stats.crossed`), the papers' paired t-test over
  seeds, the bootstrap over patients, and the rule "both a t-test (corrected where seeds are splits) and the bootstrap";
- power of the same tests for a model with an advantage;
- coverage of the crossed 95 % interval of one model's mean, and of the papers' mean ± 1.96 standard errors;
- with six equal models, how often max-T finds any pair and the best and the second different, and how often the papers'
  test finds the best and the second different.

The bootstrap runs in the first ``--resampled`` studies. The output is a Markdown table of percentages; the numbers of a
row depend only on its name and the numbers of studies.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.crossed_studies import SITUATIONS, Models, Situation
from f2vbench.stats.bootstrap import paired_bootstrap
from f2vbench.stats.crossed import crossed_interval, crossed_test, max_t_adjusted
from f2vbench.stats.intervals import normal_interval
from f2vbench.stats.jackknife import JackknifeScores, jackknife_scores
from f2vbench.stats.t_tests import corrected_resampled_t_test, paired_t_test
from f2vbench.stats.weighted_metrics import METRICS, mean_over_seeds

_REPLICATES = 600
_FAMILY = 6
_RANGE = (0.0, 1.0)


@dataclass(frozen=True)
class Rejections:
    """Percentages of studies in which each test rejects; NaN where it did not run.

    Attributes:
        crossed: The crossed test.
        papers: The paired t-test over seeds.
        bootstrap: The bootstrap over patients.
        both: Bootstrap and t-test, corrected where seeds are splits.
    """

    crossed: float
    papers: float
    bootstrap: float
    both: float


def rejections(situation: Situation, studies: int, resampled: int, gap: float) -> Rejections:
    """Test the first against the second model in simulated studies.

    Args:
        situation: Of the studies.
        studies: Number of studies.
        resampled: Number of studies with the bootstrap.
        gap: Advantage of the first model, 0 for equal models.
    """
    found: dict[str, list[bool]] = {"crossed": [], "papers": [], "bootstrap": [], "both": []}
    for index in range(studies):
        study = situation.draw(_generator(situation, "two", index), 2, gap)
        first, second = _all_scores(situation, study)
        crossed = crossed_test(first, second, variation=situation.variation, split_ratio=situation.split_ratio)
        papers = paired_t_test(first.values, second.values, variation=situation.variation)
        found["crossed"].append(_rejects(crossed.p))
        found["papers"].append(_rejects(papers.p))
        if index < resampled:
            bootstrap = _rejects(_bootstrap(situation, study, index))
            over_seeds = _rejects(_corrected(situation, first, second) if situation.train else papers.p)
            found["bootstrap"].append(bootstrap)
            found["both"].append(bootstrap and over_seeds)
    return Rejections(**{name: _percentage(values) for name, values in found.items()})


def coverage(situation: Situation, studies: int) -> tuple[float, float]:
    """Coverage of the crossed and the papers' interval of one model, in percent.

    The truth is the mean over all simulated studies.
    """
    estimates = []
    for index in range(studies):
        scores = jackknife_scores(situation.metric, situation.draw(_generator(situation, "one", index), 1, 0.0)[0])
        crossed = crossed_interval(
            scores, variation=situation.variation, split_ratio=situation.split_ratio, bounds=_RANGE
        )
        estimates.append((crossed, normal_interval(scores.values, variation=situation.variation)))
    truth = float(np.mean([crossed.value for crossed, _ in estimates]))
    covers = [[(e.low or 0) <= truth <= (e.high or 0) for e in pair if e.low is not None] for pair in estimates]
    return _percentage([each[0] for each in covers]), _percentage([each[-1] for each in covers])


def selections(situation: Situation, studies: int) -> tuple[float, float, float]:
    """Six equal models, in percent of the studies.

    Returns:
        Studies with any significant pair after max-T (the family-wise error rate), with a significant difference of the
        best and the second model after max-T, and the same by the papers' test, which does not know of the selection.
    """
    found: list[tuple[bool, bool, bool]] = []
    pairs = [(first, second) for first in range(_FAMILY) for second in range(first + 1, _FAMILY)]
    for index in range(studies):
        models = _all_scores(situation, situation.draw(_generator(situation, "six", index), _FAMILY, 0.0))
        best, second = np.argsort([-scores.values.mean() for scores in models])[:2]
        adjusted = max_t_adjusted(models, pairs, split_ratio=situation.split_ratio)
        leading = adjusted[pairs.index((min(best, second), max(best, second)))]
        papers = paired_t_test(models[best].values, models[second].values, variation=situation.variation).p
        found.append((any(map(_rejects, adjusted)), _rejects(leading), _rejects(papers)))
    any_pair, by_max_t, by_papers = (_percentage(each) for each in zip(*found, strict=True))
    return any_pair, by_max_t, by_papers


def _generator(situation: Situation, purpose: str, index: int) -> np.random.Generator:
    return np.random.default_rng([zlib.crc32(f"{situation.name}: {purpose}".encode()), index])


def _all_scores(situation: Situation, study: Models) -> list[JackknifeScores]:
    return [jackknife_scores(situation.metric, seeds) for seeds in study]


def _bootstrap(situation: Situation, study: Models, index: int) -> float | None:
    stacked = [
        np.concatenate(
            [np.column_stack([np.full(len(each.patients), seed), each.predictions]) for seed, each in enumerate(seeds)]
        )
        for seeds in study
    ]
    labels = None if study[0][0].labels is None else np.concatenate([each.labels for each in study[0]])
    return paired_bootstrap(
        *stacked,
        labels,
        metric=mean_over_seeds(METRICS[situation.metric]),
        patients=np.concatenate([each.patients for each in study[0]]),
        replicates=_REPLICATES,
        seed=index,
    ).p


def _corrected(situation: Situation, first: JackknifeScores, second: JackknifeScores) -> float | None:
    return corrected_resampled_t_test(
        first.values, second.values, train=situation.train, test=situation.test, variation=situation.variation
    ).p


def _rejects(p: float | None) -> bool:
    return p is not None and p < 0.05


def _percentage(decisions: Sequence[bool]) -> float:
    return 100 * float(np.mean(decisions)) if len(decisions) else float("nan")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--resampled", type=int, default=400)
    parser.add_argument("--only", default="", help="only situations whose name contains this text")
    arguments = parser.parse_args()
    print(
        "| situation | type I: crossed | papers | bootstrap | both | power: crossed | papers | bootstrap | both "
        "| coverage: crossed | papers | six models, any pair | best and second | papers |\n|---|" + "---|" * 13
    )
    for situation in SITUATIONS:
        if arguments.only not in situation.name:
            continue
        cells: list[float] = []
        for gap in (0.0, situation.gap):
            cells += vars(rejections(situation, arguments.studies, arguments.resampled, gap)).values()
        cells += coverage(situation, arguments.studies)
        cells += selections(situation, arguments.studies // 2)
        print(f"| {situation.name} | " + " | ".join(f"{cell:.1f}" for cell in cells) + " |", flush=True)


if __name__ == "__main__":
    main()
