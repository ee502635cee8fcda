"""What the records say about models, training, evaluation and software, for reporting checklists."""

from __future__ import annotations

from collections.abc import Mapping

from f2vbench.config.base import flatten
from f2vbench.report.checklists import data_facts
from f2vbench.report.checklists.evidence import Evidence, Fact, span
from f2vbench.report.text.limitations import limitations
from f2vbench.report.text.methods import protocol_sentences, software_text, statistics_text
from f2vbench.report.text.wording import METRIC_NAMES, as_sentence
from f2vbench.utils.text import plural, shortened


def models(evidence: Evidence) -> Fact | None:
    """Architecture of each model."""
    found: dict[str, dict[str, None]] = {}
    for record in evidence.results.records:
        identity = record["identity"].get("model", {})
        architecture = identity.get("architecture") or identity.get("fusion")
        if architecture:
            found.setdefault(record["unit"]["encoder"], {})[str(architecture)] = None
    return Fact(f"{_by_model(found)}.", "record.identity.model") if found else None


def weights(evidence: Evidence) -> Fact | None:
    """Weights of each model with the hash of the tensors."""
    found: dict[str, dict[str, None]] = {}
    for record in evidence.results.records:
        sha256 = record["provenance"].get("weights_sha256")
        digits = f" (SHA-256 of the tensors {sha256[:16]})" if sha256 else ""
        found.setdefault(record["unit"]["encoder"], {})[f"{record['weights']}{digits}"] = None
    text = f"Weights before training on a task: {_by_model(found)}."
    return Fact(text, "record.weights, record.provenance.weights_sha256")


def _by_model(found: Mapping[str, Mapping[str, None]]) -> str:
    return "; ".join(f"{name}: {' or '.join(texts)}" for name, texts in found.items())


def software(evidence: Evidence) -> Fact | None:
    """Versions of the software."""
    found = {software_text(record["provenance"]["software"]) for record in evidence.results.records}
    return Fact(f"{'; and '.join(sorted(found))}.", "record.provenance.software") if found else None


def training(evidence: Evidence) -> Fact | None:
    """What was trained for each protocol, and with which settings."""
    sentences = protocol_sentences(evidence.results.records, evidence.results.families)
    settings: dict[str, dict[str, None]] = {}
    for record in evidence.results.records:
        for key, value in flatten(record["identity"].get("settings", {})).items():
            settings.setdefault(key, {})[str(value)] = None
    listed = ", ".join(f"{key}={' or '.join(values)}" for key, values in settings.items())
    text = " ".join([*sentences, f"Settings: {listed}." if listed else ""]).strip()
    return Fact(text, "record.unit.protocol, record.identity.settings") if text else None


def selection(evidence: Evidence) -> Fact | None:
    """How the final model was chosen, where the settings say so."""
    rules = {
        "val": "the epoch with the best AUROC on the validation set was kept",
        "last": "the last epoch was kept",
    }
    found = {
        rules.get(str(value), str(value))
        for record in evidence.results.records
        if (value := record["identity"].get("settings", {}).get("select")) is not None
    }
    return Fact(as_sentence("; ".join(sorted(found))), "record.identity.settings.select") if found else None


def fusions(evidence: Evidence) -> Fact | None:
    """Which models are fusions of several encoders."""
    names = sorted(
        {r["unit"]["encoder"] for r in evidence.results.records if r["identity"].get("model", {}).get("fusion")}
    )
    text = f"Fusions of several encoders: {', '.join(names)}." if names else "No model is a fusion of several encoders."
    return Fact(text, "record.identity.model.fusion")


def metrics(evidence: Evidence) -> Fact | None:
    """Main metrics of each task, and how many there are."""
    main = [
        f"{task}: {', '.join(METRIC_NAMES.get(name, name) for name in names)}"
        for task, names in evidence.results.main_metrics.items()
    ]
    text = f"Main metrics: {'; '.join(main)}. results.csv has all {plural(len(evidence.results.metrics), 'metric')}."
    return Fact(text, "record.main_metrics, record.result.metrics")


def statistics(evidence: Evidence) -> Fact | None:
    """Intervals and tests."""
    text = statistics_text(evidence.results.records, evidence.procedure)
    return Fact(text, "record.unit.seed, settings of the report")


def baselines(evidence: Evidence) -> Fact | None:
    """Baselines and untrained models beside the models."""
    names = sorted({record["unit"]["encoder"] for record in evidence.results.records if record["floor"]})
    return Fact(f"Baselines: {', '.join(names)}.", "record.floor") if names else None


def internal(evidence: Evidence) -> Fact | None:
    """Tasks that are tested on a part of the data on which they are trained."""
    names = [task for task in evidence.results.families if task not in _external(evidence)]
    if not names:
        return None
    return Fact(
        f"Training and test images of {shortened(names)} come from one data set, divided as described.",
        "call.settings.train, call.settings.test, record.unit.task",
    )


def external(evidence: Evidence) -> Fact | None:
    """Tasks that are trained on one data set and tested on another."""
    tasks = _external(evidence)
    text = "; ".join(f"{task}: trained on {first}, tested on {second}" for task, (first, second) in tasks.items())
    text = as_sentence(text) if text else "These runs have no test on data of another source than the training data."
    return Fact(text, "call.settings.train, call.settings.test")


def _external(evidence: Evidence) -> dict[str, tuple[str, str]]:
    """Task → training and test data of external validations."""
    found = {}
    for call in evidence.results.calls:
        settings = call.get("settings", {})
        for test in settings.get("test") or ():
            task = f"{settings['train']}-to-{test}"
            if task in evidence.results.families:
                found[task] = str(settings["train"]), str(test)
    return found


def balance(evidence: Evidence) -> Fact | None:
    """Numbers of support images of each class in few-shot classification."""
    found: dict[str, set[str]] = {}
    for record in evidence.results.records:
        support = record["result"].get("support_by_class")
        if support and record["unit"]["protocol"] == "few-shot":
            counts_of = sorted(set(support.values()))
            found.setdefault(record["unit"]["task"], set()).add(span(counts_of))
    if not found:
        return None
    texts = [f"{task}: {', '.join(sorted(values))} of each class" for task, values in found.items()]
    return Fact(f"Support images of few-shot classification: {'; '.join(texts)}.", "record.result.support_by_class")


def thresholds(evidence: Evidence) -> Fact | None:
    """Rules that chose the thresholds of segmentation."""
    rules = {r["result"]["threshold"]["rule"] for r in evidence.results.records if "threshold" in r["result"]}
    return Fact(f"Thresholds of score maps: {'; '.join(sorted(rules))}.", "record.result.threshold") if rules else None


def performance(evidence: Evidence) -> Fact | None:
    """How many means with intervals the report has, and where."""
    results = evidence.results
    main = {task: names[:1] for task, names in results.main_metrics.items() if names}
    summary = results.summary(main, interval=evidence.procedure.interval)
    with_interval = int(summary["low"].notna().sum())
    text = (
        f"The tables of results and summary.csv have {plural(len(summary), 'mean')} of the main metrics, "
        f"{with_interval:,} of them with 95 % intervals; each other one names the reason. comparison.csv has the tests."
    )
    return Fact(text, "record.result.metrics, record.result.per_image, stored predictions")


def failures(evidence: Evidence) -> Fact | None:
    """That values of single images are stored."""
    images = {image for record in evidence.results.records for image in record["result"]["per_image"]}
    if not images:
        return None
    return Fact(
        f"Values of {plural(len(images), 'single image')} are stored; figures of the report show the worst of them.",
        "record.result.per_image",
    )


def limits(evidence: Evidence) -> Fact | None:
    """Limitations that the records show."""
    found = limitations(evidence.results)
    return (
        Fact(" ".join(map(as_sentence, found)), "records and calls, as in the section Limitations") if found else None
    )


def commands(evidence: Evidence) -> Fact | None:
    """Settings of the calls that made the results."""
    if not evidence.results.calls:
        return None
    text = f"The settings of {plural(len(evidence.results.calls), 'call')} are stored in calls/ of the run folders."
    return Fact(text, "call.settings")


def availability(evidence: Evidence) -> Fact | None:
    """Software, hashes of weights, and terms of the data."""
    parts = [software(evidence), weights(evidence), data_facts.terms(evidence)]
    found = [part for part in parts if part is not None]
    return Fact(" ".join(part.text for part in found), "; ".join(part.keys for part in found)) if found else None
