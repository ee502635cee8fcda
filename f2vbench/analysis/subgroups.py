"""Results of subgroups of patients, and tests of the gap between the best and the worst subgroup.

Each subgroup has the metric of its own test images at each seed, with the crossed interval over patients and seeds. Two
subgroups share the heads and possibly patients (both eyes), so their difference is tested by the same jackknife over
all patients, as two models are. The best and the worst are chosen after seeing the results: the p-value of their gap is
adjusted for the choice among all pairs of subgroups.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from f2vbench.analysis.crossed_scores import CrossedScores
from f2vbench.analysis.diagnosis import load_cases
from f2vbench.analysis.frames import CONDITION, Condition
from f2vbench.analysis.mean_intervals import metric_bounds
from f2vbench.analysis.metric_inputs import MetricInputs, Predictions, metric_inputs, metric_value
from f2vbench.analysis.subgroup_labels import AGE_BANDS, NOT_GIVEN, check_columns, group_labels, order_groups
from f2vbench.metrics.operating_points import OperatingPoint
from f2vbench.stats.crossed import crossed_interval, crossed_test, max_t_adjusted
from f2vbench.stats.jackknife import JackknifeScores, leave_out, patient_groups, patients_of_rarest_class
from f2vbench.stats.multiple_testing import holm
from f2vbench.stats.power import detectable_difference, difference_power
from f2vbench.stats.result_classes import Estimate
from f2vbench.stats.weighted_diagnosis import DECISIONS
from f2vbench.store.record_schema import UnitRecord
from f2vbench.utils.text import plural

ALL = "all"
"""Name of the row of all test images."""

GAP_OF_INTEREST = 0.05
"""Gap whose probability of being detected is given as the power."""

_FEW_PATIENTS = 10
_OPERATING_METRICS = ("sensitivity", "specificity")

GROUP_COLUMNS = [*CONDITION, "encoder", "weights", "baseline", "metric", "better", "column", "group"]
GROUP_COLUMNS += ["patients", "images", "value", "low", "high", "warning", "reason"]
GAP_COLUMNS = [*CONDITION, "encoder", "weights", "baseline", "metric", "column", "groups", "worst", "best", "gap"]
GAP_COLUMNS += ["low", "high", "p", "p_selected", "p_adjusted", "detectable", "power", "reason"]


@dataclass(frozen=True)
class SubgroupRequest:
    """Which subgroups to report.

    Attributes:
        by: Names of columns, such as ``sex`` and ``age``.
        age_bands: Edges of the bands of age in years, rising.
        operating_point: Rule of the threshold at which sensitivity and specificity of binary tasks are compared as
            well; None leaves them out.
    """

    by: tuple[str, ...] = ()
    age_bands: tuple[float, ...] = AGE_BANDS
    operating_point: OperatingPoint | None = None


def as_request(by: str | Sequence[str] | SubgroupRequest) -> SubgroupRequest:
    """Convert the name of one or several columns to a request."""
    if isinstance(by, SubgroupRequest):
        return by
    return SubgroupRequest((by,) if isinstance(by, str) else tuple(by))


class Subgroups(NamedTuple):
    """Results of subgroups.

    Attributes:
        groups: Data frame with the columns `GROUP_COLUMNS` and one row for each model, condition, metric, column and
            subgroup, ``all`` first. ``warning`` says that a subgroup is too small to say anything, and ``reason`` why a
            value or an interval is missing.
        gaps: Data frame with the columns `GAP_COLUMNS` and one row for each model, condition, metric and column.
            ``worst`` and ``best`` are among the subgroups with an interval, without missing values; ``gap`` is their
            absolute difference with its 95 % interval. ``p`` is the crossed test of this pair, ``p_selected`` is
            adjusted for its choice among all pairs of subgroups (step-down max-T), and ``p_adjusted`` by Holm's method
            over all rows as well. ``detectable`` is the smallest true gap that the test detects with 80 % power
            (missing where not even the largest possible gap is detected), and ``power`` the probability of detecting a
            true gap of `GAP_OF_INTEREST`, both at a significance level divided by the number of pairs.
    """

    groups: pd.DataFrame
    gaps: pd.DataFrame


class _SeedInputs(NamedTuple):
    """Inputs of a metric at one seed, and the subgroup of each image."""

    inputs: MetricInputs
    labels: NDArray[np.str_]


def compute_subgroups(
    crossed_scores: Mapping[Condition, CrossedScores],
    records: Sequence[UnitRecord],
    predictions: Predictions,
    metrics: Mapping[str, Sequence[str]],
    request: SubgroupRequest,
) -> Subgroups:
    """Compute the results of subgroups and the gaps between them.

    Args:
        crossed_scores: Scores of the models at each condition, which know how seeds differ.
        records: Records of all units.
        predictions: Loads the stored arrays of a record.
        metrics: Task → names of metrics.
        request: Columns, bands of age and operating point.

    Returns:
        Both data frames. Units whose data set has no values in a column are left out.

    Raises:
        SettingsError: No unit has a column, or its values cannot be divided into subgroups.
    """
    check_columns(request.by, records)
    models: dict[tuple[Condition, str], list[UnitRecord]] = {}
    for record in sorted(records, key=lambda record: record["unit"]["seed"]):
        models.setdefault((Condition.from_record(record), record["unit"]["encoder"]), []).append(record)
    groups: list[dict[str, Any]] = []
    gaps: list[dict[str, Any]] = []
    for (condition, encoder), units in models.items():
        about = {
            **condition._asdict(),
            "encoder": encoder,
            "weights": units[0]["weights"],
            "baseline": bool(units[0]["floor"]),
        }
        for metric, inputs in _inputs_of_metrics(units, predictions, metrics.get(condition.task, ()), request).items():
            lower = metric in units[0].get("lower_is_better", ())
            own = about | {"metric": metric}
            for name in request.by:
                seeds = _label_images(units, inputs, name, request)
                if not seeds:
                    continue
                analysis = _Analysis(crossed_scores[condition], seeds, metric, lower, name, request.age_bands)
                better = {"better": "lower" if lower else "higher", "column": name}
                groups += [own | better | row for row in analysis.group_rows()]
                gaps.append(own | {"column": name} | analysis.gap_row())
    return Subgroups(_frame(groups, GROUP_COLUMNS), _adjusted(_frame(gaps, GAP_COLUMNS)))


def _inputs_of_metrics(
    units: Sequence[UnitRecord], predictions: Predictions, metrics: Sequence[str], request: SubgroupRequest
) -> dict[str, dict[int, MetricInputs]]:
    """Metric → seed → its inputs; metrics that cannot be computed from what is stored are left out."""
    found: dict[str, dict[int, MetricInputs]] = {}
    for metric in metrics:
        for record in units:
            inputs = metric_inputs(record, metric, predictions) if metric_value(record, metric) is not None else ""
            if isinstance(inputs, MetricInputs):
                found.setdefault(metric, {})[record["unit"]["seed"]] = inputs
    binary = units[0]["result"].get("label_kind") == "binary" and "predictions" in units[0]["result"]
    if request.operating_point is not None and binary:
        ((_, cases),) = load_cases(units, predictions, request.operating_point).items()
        for record, seed in zip(units, cases, strict=True):
            if seed.threshold is None or seed.patients is None:
                continue
            images = tuple(record["result"]["episode"]["test"])
            for metric in _OPERATING_METRICS:
                inputs = MetricInputs(images, seed.patients, seed.decisions, seed.labels.astype(int), DECISIONS[metric])
                found.setdefault(metric, {})[record["unit"]["seed"]] = inputs
    return found


def _label_images(
    units: Sequence[UnitRecord], inputs: Mapping[int, MetricInputs], name: str, request: SubgroupRequest
) -> list[_SeedInputs]:
    """Inputs of each seed with the subgroup of each image; empty where a unit has no values in the column."""
    seeds = []
    for record in units:
        episode, of_seed = record["result"]["episode"], inputs.get(record["unit"]["seed"])
        if of_seed is None or name not in episode.get("columns", {}):
            continue
        labels = group_labels(name, episode["columns"][name], request.age_bands)
        of_image = dict(zip(episode["test"], labels, strict=True))
        seeds.append(_SeedInputs(of_seed, np.array([of_image[image] for image in of_seed.images])))
    return seeds


class _Analysis:
    """Subgroups by one column of one model at one condition, in one metric.

    Args:
        crossed: Scores of the condition, which know how seeds differ.
        seeds: Inputs of each seed.
        metric: Name of the metric.
        lower_is_better: Whether lower values are better.
        column: Name of the column.
        age_bands: Edges of the bands of age.
    """

    def __init__(
        self,
        crossed: CrossedScores,
        seeds: Sequence[_SeedInputs],
        metric: str,
        lower_is_better: bool,
        column: str,
        age_bands: Sequence[float],
    ):
        self._design, self._seeds, self._metric, self._lower = crossed.design, seeds, metric, lower_is_better
        names = sorted({str(patient) for seed in seeds for patient in seed.inputs.patients})
        self._code = dict(zip(names, patient_groups(len(names)).tolist(), strict=True))
        self._groups = order_groups(column, (str(label) for seed in seeds for label in seed.labels), age_bands)
        self._scores = {group: self._of_group(group) for group in self._groups}

    def group_rows(self) -> list[dict[str, Any]]:
        """A row for all images, and one for each subgroup."""
        return [self._row(ALL, self._of_group(None)), *(self._row(name, self._scores[name]) for name in self._groups)]

    def gap_row(self) -> dict[str, Any]:
        """The gap between the best and the worst subgroup."""
        compared = {
            group: scores
            for group, scores in self._scores.items()
            if group != NOT_GIVEN and self._interval(scores).low is not None
        }
        row: dict[str, Any] = {"groups": len(compared), "reason": ""}
        if len(compared) < 2:
            return row | {"reason": f"{plural(len(compared), 'subgroup')} with an interval, and a gap needs two"}
        means = {group: float(scores.values.mean()) for group, scores in compared.items()}
        ordered = sorted(means, key=lambda group: means[group], reverse=not self._lower)
        best, worst = ordered[0], ordered[-1]
        row |= {"worst": worst, "best": best, "gap": abs(means[best] - means[worst])}
        scaled = {group: self._as_part_of_all(group) for group in compared}
        high, low = (worst, best) if self._lower else (best, worst)
        bounds = metric_bounds(np.array(list(means.values())), self._metric)
        largest = math.inf if bounds[0] is None or bounds[1] is None else bounds[1] - bounds[0]
        test = crossed_test(
            scaled[high],
            scaled[low],
            variation=self._design.variation,
            split_ratio=self._design.split_ratio,
            largest=largest,
        )
        if test.p is None or test.se is None or test.df is None:
            return row | {"reason": test.reason}
        pairs = list(combinations(compared, 2))
        order = list(compared)
        indices = [(order.index(first), order.index(second)) for first, second in pairs]
        adjusted = max_t_adjusted(list(scaled.values()), indices, split_ratio=self._design.split_ratio)
        chosen = next(i for i, pair in enumerate(pairs) if set(pair) == {best, worst})
        level = 0.05 / len(pairs)
        detectable = detectable_difference(test.se, test.df, level)
        return row | {
            "low": test.low,
            "high": test.high,
            "p": test.p,
            "p_selected": adjusted[chosen],
            "detectable": detectable if detectable < largest else None,
            "power": difference_power(GAP_OF_INTEREST, test.se, test.df, level),
        }

    def _row(self, group: str, scores: JackknifeScores) -> dict[str, Any]:
        estimate = self._interval(scores)
        images = [seed.labels.size if group == ALL else int((seed.labels == group).sum()) for seed in self._seeds]
        return {
            "group": group,
            "patients": scores.patients,
            "images": float(np.mean(images)),
            "value": estimate.value,
            "low": estimate.low,
            "high": estimate.high,
            "warning": _warning(scores) if group != ALL else "",
            "reason": estimate.reason,
        }

    def _interval(self, scores: JackknifeScores) -> Estimate:
        values = scores.values[np.isfinite(scores.values)]
        return crossed_interval(
            scores,
            variation=self._design.variation,
            split_ratio=self._design.split_ratio,
            bounds=metric_bounds(values, self._metric) if values.size else (None, None),
        )

    def _of_group(self, group: str | None) -> JackknifeScores:
        """Scores of a subgroup; None for all images. Undefined values are NaN."""
        values, columns, patients, rarest = [], [], set(), []
        total = max(self._code.values()) + 1
        for inputs, labels in self._seeds:
            rows = np.arange(len(labels)) if group is None else np.flatnonzero(labels == group)
            if not rows.size:
                values.append(math.nan)
                columns.append(np.full(total, math.nan))
                continue
            own = [str(patient) for patient in inputs.patients[rows]]
            truth = None if inputs.labels is None else inputs.labels[rows]
            compute = inputs.metric.prepare(inputs.predictions[rows], truth)
            value, without = leave_out(compute, np.array([self._code[patient] for patient in own]), total)
            values.append(value)
            columns.append(without)
            patients.update(own)
            if truth is not None:
                rarest.append(patients_of_rarest_class(truth, np.unique(own, return_inverse=True)[1]))
        present = sorted({self._code[patient] for patient in patients})
        without = np.column_stack(columns)[present] if present else np.empty((0, len(values)))
        return JackknifeScores(np.array(values), without, len(patients), min(rarest) if rarest else None)

    def _as_part_of_all(self, group: str) -> JackknifeScores:
        """Scores of a subgroup with a row for every patient; the jackknife then has the subgroup's variance."""
        scores, total = self._scores[group], max(self._code.values()) + 1
        members = sorted(
            {self._code[str(patient)] for inputs, labels in self._seeds for patient in inputs.patients[labels == group]}
        )
        factor = math.sqrt((len(members) - 1) / len(members) * total / (total - 1))
        without = np.tile(scores.values, (total, 1))
        without[members] = scores.values + factor * (scores.without - scores.values)
        return replace(scores, without=without, patients=len(self._code))


def _warning(scores: JackknifeScores) -> str:
    """Why a subgroup is too small to say anything; empty if it is not."""
    fewest = scores.patients if scores.rarest is None else min(scores.patients, scores.rarest)
    if fewest >= _FEW_PATIENTS:
        return ""
    if scores.patients < _FEW_PATIENTS:
        return f"{plural(scores.patients, 'patient')}: too few to say anything"
    if not fewest:
        return "a class is absent, or all images have it: too few to say anything"
    return f"{plural(fewest, 'patient')} with (or without) the rarest class: too few to say anything"


def _frame(rows: Sequence[Mapping[str, Any]], columns: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame(list(rows), columns=columns)
    frame["shots"] = frame.shots.astype("Int64")
    return frame


def _adjusted(gaps: pd.DataFrame) -> pd.DataFrame:
    """Gaps with Holm's adjustment over all rows that have a test."""
    tested = gaps.p_selected.notna()
    adjusted = pd.Series(np.nan, index=gaps.index)
    if tested.any():
        adjusted[tested] = holm(gaps.p_selected[tested].astype(float).to_numpy())
    return gaps.assign(p_adjusted=adjusted)
