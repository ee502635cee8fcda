"""Power and sample size of a planned comparison, from assumptions or from a run, as text for the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from f2vbench.analysis.frames import Condition
from f2vbench.cli.settings import PowerSettings
from f2vbench.errors import SettingsError, did_you_mean
from f2vbench.metrics.names import CHANCE
from f2vbench.results import Results
from f2vbench.stats.crossed_variance import crossed_variance
from f2vbench.stats.planning import AssumedStudy, ObservedStudy, PlannedStudy, required_patients, study_power
from f2vbench.utils.text import layout, plural

_WITH_PREVALENCE = ("auroc", "sensitivity", "specificity")
_ASSUMPTIONS = ("value", "prevalence", "images", "within", "correlation", "sd", "seed_sd", "formula")


class _Plan(NamedTuple):
    """A study, the true difference, and sentences that describe both."""

    study: PlannedStudy
    difference: float
    lines: list[str]


def power_text(settings: PowerSettings) -> str:
    """Table of the power for each number of patients and seeds, and the patients that a study needs.

    Args:
        settings: Keys of `f2vbench power`.

    Returns:
        Text for the terminal.

    Raises:
        SettingsError: An assumption is missing or impossible, or the run has no such models or conditions.
        StoreError: The run folder cannot be read.
    """
    if settings.aim != "difference" and settings.margin is None:
        raise SettingsError(f"aim={settings.aim} needs margin=, the largest difference that does not matter")
    if settings.aim == "difference" and settings.margin is not None:
        raise SettingsError("margin= is used with aim=non-inferiority or aim=equivalence")
    plan = _from_assumptions(settings) if settings.run is None else _from_run(settings, settings.run)
    if settings.aim == "difference" and plan.difference == 0:
        raise SettingsError("difference=0: a study cannot show a difference of zero; use aim=equivalence with margin=")
    if settings.aim == "equivalence" and settings.margin is not None and abs(plan.difference) >= settings.margin:
        raise SettingsError(f"difference={plan.difference:g} is not within ± margin={settings.margin:g}")
    seeds = [plural(count, "seed") for count in settings.seeds]
    header = ["patients", *(f"SE, {each}" for each in seeds), *(f"power, {each}" for each in seeds)]
    rows = []
    for patients in settings.patients:
        errors = [plan.study.error(patients, count)[0] for count in settings.seeds]
        powers = [_power(settings, plan, patients, count) for count in settings.seeds]
        texts = [f"{error:.4f}" for error in errors], [f"{100 * power:.1f} %" for power in powers]
        rows.append([f"{patients:,}", *texts[0], *texts[1]])
    needed = [_needed_text(settings, plan, count) for count in settings.seeds]
    return "\n".join([*plan.lines, _test_sentence(settings), "", layout(header, rows), "", *needed])


def _power(settings: PowerSettings, plan: _Plan, patients: int, seeds: int) -> float:
    return study_power(
        plan.study,
        plan.difference,
        patients=patients,
        seeds=seeds,
        aim=settings.aim,
        margin=settings.margin,
        alpha=settings.alpha,
    )


def _needed_text(settings: PowerSettings, plan: _Plan, seeds: int) -> str:
    """Patients that a study with some seeds needs."""
    required = required_patients(
        plan.study,
        plan.difference,
        seeds=seeds,
        aim=settings.aim,
        margin=settings.margin,
        alpha=settings.alpha,
        power=settings.power,
    )
    if required.n is None:
        return f"{plural(seeds, 'seed')}: {required.reason}; more seeds might"
    return f"{plural(seeds, 'seed')}: {required.n:,} test patients for {100 * settings.power:g} % power"


def _test_sentence(settings: PowerSettings) -> str:
    if settings.aim == "difference":
        return f"aim: a difference, two-sided test at {settings.alpha:g}"
    if settings.aim == "non-inferiority":
        level = settings.alpha / 2
        return f"aim: the first model is worse by less than {settings.margin:g}, one-sided test at {level:g}"
    return f"aim: the difference lies within ± {settings.margin:g}, two one-sided tests at {settings.alpha:g}"


def _from_assumptions(settings: PowerSettings) -> _Plan:
    problems = []
    if settings.value is None:
        problems.append("value= is missing: the expected value of the first model (or run=, to estimate variances)")
    if settings.difference is None and settings.aim == "difference":
        problems.append("difference= is missing: the difference that the study is to detect")
    if settings.metric in _WITH_PREVALENCE and settings.prevalence is None:
        problems.append(f"prevalence= is missing: the share of positive images, for metric={settings.metric}")
    is_mean = settings.metric not in (*_WITH_PREVALENCE, "accuracy")
    if is_mean and settings.sd is None:
        problems.append(f"sd= is missing: the standard deviation over images, for metric={settings.metric}")
    given = sorted({"model", "task", "protocol", "shots"} & settings.model_fields_set)
    problems += [f"{key}= names a part of a run: add run=" for key in given]
    difference = settings.difference or 0.0
    if settings.value is not None and not is_mean:
        second = settings.value - difference
        outside = [value for value in (settings.value, second) if not 0 < value < 1]
        if outside:
            problems.append(
                f"value={settings.value:g} and difference={difference:g}: {settings.metric} of both models must lie "
                f"between 0 and 1, and the second has {second:g}"
            )
    if problems or settings.value is None:
        raise SettingsError(problems)
    study = AssumedStudy(
        metric=settings.metric,
        value=settings.value,
        difference=difference,
        prevalence=settings.prevalence or 0.5,
        images=settings.images,
        within_patient=settings.within,
        between_models=settings.correlation,
        sd=settings.sd,
        seed_sd=settings.seed_sd,
        formula=settings.formula,
    )
    prevalence = f", prevalence {settings.prevalence:g}" if settings.metric in _WITH_PREVALENCE else ""
    return _Plan(
        study,
        difference,
        [
            f"{settings.metric} {settings.value:g} against {settings.value - difference:g}{prevalence}",
            f"{settings.images:g} images a patient with correlation {settings.within:g}; correlation of both models "
            f"{settings.correlation:g}; standard deviation over seeds {settings.seed_sd:g}",
        ],
    )


def _from_run(settings: PowerSettings, folder: Path) -> _Plan:
    given = sorted(set(_ASSUMPTIONS) & settings.model_fields_set)
    if given:
        raise SettingsError([f"{key}= is an assumption, and run= measures it: leave one of them out" for key in given])
    results = Results.load(folder)
    condition = _choose_condition(settings, results)
    frame = results.frame[results.frame.task == condition.task]
    metrics = [metric for metric in dict.fromkeys(frame.metric) if not metric.endswith(CHANCE)]
    metric = settings.metric if "metric" in settings.model_fields_set else results.main_metrics[condition.task][0]
    if metric not in metrics:
        raise SettingsError(
            f"metric={metric}: not in {folder}{did_you_mean(metric, metrics)}; available: {', '.join(metrics)}"
        )
    first, second = _choose_models(settings, results, condition, metric)
    scores = results.crossed_scores[condition]
    seeds = scores.shared_seeds([first, second], metric)
    if not seeds:
        raise SettingsError(f"{first} and {second} have no seed with the same test images at this condition")
    sides = [scores.scores(model, metric, seeds) for model in (first, second)]
    for side in sides:
        if isinstance(side, str):
            raise SettingsError(f"metric={metric}: {side}")
    a, b = (side for side in sides if not isinstance(side, str))
    contrast, design = a.minus(b), scores.design
    variance = crossed_variance(contrast, design.split_ratio)
    if variance.reason:
        raise SettingsError(f"{first} and {second}: {variance.reason}")
    observed = float(contrast.values.mean())
    if metric in results.lower_is_better:
        observed = -observed
    study = ObservedStudy(
        patients=contrast.patients,
        seeds=len(seeds),
        between_seeds=variance.between_seeds,
        of_patients=variance.of_patients,
        within_seeds=variance.within_seeds,
        split_ratio=design.split_ratio,
    )
    default = observed if settings.aim == "difference" else 0.0
    difference = default if settings.difference is None else settings.difference
    where = ", ".join(str(part) for part in condition if part is not None)
    return _Plan(
        study,
        difference,
        [
            f"{first} against {second} in {metric}, {where} of {folder}",
            f"observed difference {observed:+.4f} with {contrast.patients:,} test patients and "
            f"{plural(len(seeds), 'seed')}; assumed difference {difference:+.4f}",
            "Taking the observed difference as the true one is optimistic: it is uncertain, and the pair may have been "
            "chosen for it. Give the smallest difference that matters with difference=."
            if settings.difference is None and settings.aim == "difference"
            else "Variances are those of the run.",
        ],
    )


def _choose_condition(settings: PowerSettings, results: Results) -> Condition:
    conditions = list(results.crossed_scores)
    fitting = [
        each
        for each in conditions
        if settings.task in (None, each.task)
        and settings.protocol in (None, each.protocol)
        and settings.shots in (None, each.shots)
    ]
    if len(fitting) == 1:
        return fitting[0]
    listed = "; ".join(
        " ".join(f"{key}={value}" for key, value in each._asdict().items() if value is not None) for each in conditions
    )
    problem = "several conditions fit" if fitting else "no condition fits"
    raise SettingsError(f"task=, protocol= and shots=: {problem}; choose one of: {listed}")


def _choose_models(settings: PowerSettings, results: Results, condition: Condition, metric: str) -> tuple[str, str]:
    """The named models, or the best two."""
    summary = results.summary([metric], interval="student")
    shots = summary.shots.isna() if condition.shots is None else summary.shots == condition.shots
    own = summary[(summary.task == condition.task) & (summary.protocol == condition.protocol) & shots]
    names = list(own.encoder[own["mean"].notna()])
    if settings.model is None:
        if len(names) < 2:
            raise SettingsError(f"only {plural(len(names), 'model')} has results at this condition, and two are needed")
        return names[0], names[1]
    unknown = [name for name in settings.model if name not in names]
    if unknown:
        raise SettingsError(
            f"model={unknown[0]}: no results at this condition{did_you_mean(unknown[0], names)}; available: "
            f"{', '.join(names)}"
        )
    if len(settings.model) != 2:
        raise SettingsError(f"model={','.join(settings.model)}: two models are compared, not {len(settings.model)}")
    return settings.model[0], settings.model[1]
