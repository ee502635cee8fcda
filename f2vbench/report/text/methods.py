"""Methods section of a report, from what the runs recorded: data, splits, protocols, tests, software."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from f2vbench.data.task_data import SPLIT_FILE_NOTE
from f2vbench.encoders.registry import IMAGENET_BASELINE
from f2vbench.report.text.segmentation_methods import class_sentences, segmentation_sentences
from f2vbench.report.text.wording import NONE, join_names
from f2vbench.stats.citations import (
    BOOTSTRAP_PERCENTILE,
    CORRECTED_T,
    CROSSED,
    DELONG_SEEDS,
    MAX_T,
    PAIRED_PERMUTATION,
    SIGNED_RANK,
    Method,
)
from f2vbench.stats.intervals import MeanInterval
from f2vbench.stats.procedure import Procedure
from f2vbench.store.record_schema import CallRecord, TaskRecord, UnitRecord
from f2vbench.utils.system import Software
from f2vbench.utils.text import plural

_NUMERIC_HEAD = (
    "perceptron of infinite width (one hidden layer of rectified linear units with random weights and a linear "
    "connection: kernel ridge regression), with the penalty averaged by the likelihood of left-out images, was fitted "
    "to frozen embeddings of the"
)
_COX = (
    "Cox proportional-hazards model with a ridge penalty (scikit-survival) was fitted to kernel coordinates, those of "
    "a perceptron of infinite width, of frozen embeddings of the"
)
_OWN_HEAD = "{models} classified with the head of an earlier fine-tuning, without any training on these data sets."
_COX_PENALTY = "64 coordinates of the largest variance, penalty by cross-validated partial likelihood"
_PROTOCOLS = {
    ("classification", "zero-shot"): "In zero-shot classification, a head with random weights made the predictions, as "
    "in the Fundus2Video paper; its expected performance is chance.",
    ("classification", "prototype"): "The prototype classifier assigned the class with the nearest mean support "
    "embedding.",
    ("classification", "knn"): "The k-nearest-neighbour classifier voted among the support embeddings.",
    ("classification", "probe"): "The linear probe was a logistic regression on frozen embeddings.",
    ("classification", "few-shot"): "In few-shot classification, a multi-layer perceptron was trained on frozen "
    "embeddings of the support images of each class; {epoch}.",
    ("classification", "supervised"): "In supervised classification, a multi-layer perceptron was trained on frozen "
    "embeddings of the training set; the epoch was chosen on the validation set.",
    (
        "regression",
        "few-shot",
    ): f"In few-shot regression, a {_NUMERIC_HEAD} support images, which cover the range of the numbers.",
    ("regression", "supervised"): f"In supervised regression, a {_NUMERIC_HEAD} training set.",
    ("regression", "probe"): "The linear probe of regression was a ridge regression on standardised frozen embeddings, "
    "with the penalty of the smallest squared error of left-out images.",
    ("regression", "knn"): "The k-nearest-neighbour regression averaged the numbers of the support embeddings.",
    ("survival", "few-shot"): f"In few-shot survival analysis, a {_COX} support images ({_COX_PENALTY}).",
    ("survival", "supervised"): f"In supervised survival analysis, a {_COX} training set ({_COX_PENALTY}).",
    (
        "survival",
        "probe",
    ): "The linear probe of survival analysis was a Cox model with a ridge penalty on the principal "
    f"components of standardised frozen embeddings ({_COX_PENALTY}).",
    ("retrieval", "zero-shot"): "In retrieval, every image of the gallery was a query; the other images were ranked by "
    "cosine similarity of embeddings, and images of the same patient were relevant.",
    ("generation", "zero-shot"): "Generated angiograms were compared with the true frames of the same eye inside the "
    "field of view, with intensities scaled to [0, 1].",
}
_EPOCH = {
    "val": "the epoch with the best AUROC on the labelled validation set was kept",
    "last": "the last epoch was kept",
}
_WIDE_MLP = (
    "perceptron of infinite width (one hidden layer of rectified linear units with random weights and a linear "
    "connection: kernel ridge regression), with the penalty and the steepness of the probabilities averaged by their "
    "likelihood for left-out images, was fitted to frozen embeddings of the"
)
_OF_WIDE_MLP = {
    "few-shot": f"In few-shot classification, a {_WIDE_MLP} support images of each class.",
    "supervised": f"In supervised classification, a {_WIDE_MLP} training set.",
}
_OTHER_HEADS = " This applies to all models but fusions and encoders that were fine-tuned."
_FINE_TUNING = {
    "few-shot": "In few-shot classification, each encoder was fine-tuned end to end with a multi-layer perceptron on "
    "the support images of each class; {epoch}",
    "supervised": "In supervised classification, each encoder was fine-tuned end to end with a multi-layer perceptron "
    "on the training set, and the epoch was chosen on the validation set",
}
_FINE_TUNING_SETTINGS = (
    " (AdamW, layer-wise learning-rate decay {layer_decay:g}, stochastic depth {drop_path:g}, {augmentation}, the "
    "fine-tuning recipe of RETFound); for baselines without a network, the head alone was trained."
)
_SPLITS = {
    "random": "For each seed, {share:.0%} of the patients were drawn as the test set",
    "official": "The official split was used for testing",
    "auto": "The official split was used for testing where the data set has one",
}
_OVER_SEEDS = "over seeds only ({method}), which assume independent seeds"
_INTERVALS: dict[MeanInterval, str] = {
    "crossed": "for other patients and other heads ({method}), within the range of the metric; the covariance of seeds "
    "by shared test patients was estimated by the jackknife, which leaves out a patient with all images",
    "student": _OVER_SEEDS,
    "papers": _OVER_SEEDS,
}
_ENCODERS = {
    "frozen": "frozen encoders",
    "full": "fine-tuned encoders",
    "vessels": "encoders fine-tuned for vessels and frozen for other tasks",
}


def methods_text(
    records: Sequence[UnitRecord], calls: Sequence[CallRecord], families: Mapping[str, str], procedure: Procedure
) -> list[str]:
    """Write the paragraphs of a methods section; what a run did not record is reported as missing.

    Args:
        records: Unit records.
        calls: Call records, the newest first.
        families: Task family of each task.
        procedure: t-test over seeds and adjustment of p-values.

    Returns:
        One paragraph per task, and one each on protocols, statistics and software.
    """
    paragraphs = [_data_text(task, records, calls) for task in families]
    protocols = [*protocol_sentences(records, families), *_model_sentences(records), *_settings(calls, families)]
    return [*paragraphs, " ".join(protocols), statistics_text(records, procedure), _software_paragraph(records)]


def task_record(task: str, calls: Iterable[CallRecord]) -> TaskRecord | None:
    """Data of a task as its newest call recorded them, or None."""
    return next((call["data"][task] for call in calls if task in call.get("data", {})), None)


def task_card(task: str, calls: Iterable[CallRecord]) -> dict[str, Any]:
    """Card of a task as its newest call recorded it, or an empty dictionary."""
    record = task_record(task, calls)
    return record["card"] if record else {}


def task_title(task: str, calls: Iterable[CallRecord]) -> str:
    """Title of a task on its card, or its name."""
    return str(task_card(task, calls).get("title") or task)


def software_text(software: Software) -> str:
    """``f2vbench 0.1.0 (commit 1234abcd), Python 3.12.1, torch 2.8.0, …``."""
    git = software.get("git")
    changed = " with uncommitted changes" if git and git.endswith("+changes") else ""
    commit = f" (commit {git[:12]}{changed})" if git else ""
    libraries = [f"{name} {version}" for name, version in software.get("libraries", {}).items() if version != "absent"]
    return ", ".join([f"f2vbench {software['f2vbench']}{commit}", f"Python {software['python']}", *libraries])


def _data_text(task: str, records: Sequence[UnitRecord], calls: Sequence[CallRecord]) -> str:
    own = [record for record in records if record["unit"]["task"] == task]
    record = task_record(task, calls)
    if record is None or not record.get("card"):
        return f"{task}: the runs did not record the card of this task, so its data cannot be described."
    card = record["card"]
    sizes = {len(unit["result"]["episode"]["test"]) for unit in own}
    size = f"{min(sizes):,}" if len(sizes) == 1 else f"{min(sizes):,} to {max(sizes):,}"
    seeds = plural(len({unit["unit"]["seed"] for unit in own}), "seed")
    counts = f"{plural(record['images'], 'image')} of {plural(record['patients'], 'patient')}"
    sentences = [
        f"{card['title']}: {counts} ({_one_line(card['source'])}).",
        f"Labels: {_one_line(card['labels'])}.",
        f"{split_text(record)} ({size} test images, {seeds}).",
        *([f"Patients: {_one_line(card['patients'])}."] if card.get("patients") else []),
        "No patient was in both the training set and the test set, and for each seed all encoders used the same "
        "support and test images.",
        *(f"{_one_line(note)}." for note in record.get("notes", [])),
    ]
    return " ".join(sentences)


def split_text(record: TaskRecord) -> str:
    """Origin of the test set, as a clause; a split file counts as the official split of a card.

    Args:
        record: Data of a task in a call.
    """
    card = record["card"]
    if any(note.startswith(SPLIT_FILE_NOTE) for note in record.get("notes", [])):
        return "The test set was that of a split file"
    return _SPLITS[card["split"]].format(share=card["test_fraction"])


def protocol_sentences(records: Sequence[UnitRecord], families: Mapping[str, str]) -> list[str]:
    """Describe what was trained, and how, for each task family and protocol.

    Args:
        records: Unit records.
        families: Task family of each task.
    """
    used: dict[tuple[str, str], set[bool]] = {}
    with_own_head = sorted(
        {record["unit"]["encoder"] for record in records if record["identity"]["model"].get("own_head")}
    )
    for record in records:
        if record["unit"]["encoder"] in with_own_head:
            continue
        family_and_protocol = families[record["unit"]["task"]], record["unit"]["protocol"]
        used.setdefault(family_and_protocol, set()).add(_has_wide_mlp(record))
    tuned = {
        record["unit"]["protocol"]: record["identity"]["settings"]
        for record in records
        if families[record["unit"]["task"]] == "classification"
        and record["identity"].get("settings", {}).get("finetune") == "full"
    }
    selections = {
        str(record["identity"].get("settings", {}).get("select", "val"))
        for record in records
        if families[record["unit"]["task"]] == "classification"
        and record["unit"]["protocol"] == "few-shot"
        and not _has_wide_mlp(record)
    }
    epoch = " or ".join(_EPOCH.get(selection, selection) for selection in sorted(selections, reverse=True))
    sentences = [_OWN_HEAD.format(models=join_names(with_own_head))] if with_own_head else []
    for (family, protocol), wide_mlp in used.items():
        if family == "segmentation":
            own = [record for record in records if families[record["unit"]["task"]] == family]
            sentences += segmentation_sentences(
                protocol, [record for record in own if record["unit"]["protocol"] == protocol]
            )
            sentences += [each for each in class_sentences(own) if each not in sentences]
        if family == "classification" and protocol in tuned:
            sentences.append(_fine_tuning_text(protocol, tuned[protocol]).format(epoch=epoch))
        elif (family, protocol) in _PROTOCOLS and wide_mlp != {True}:
            sentences.append(_PROTOCOLS[family, protocol].format(epoch=epoch))
        if True in wide_mlp:
            sentences.append(_OF_WIDE_MLP[protocol] + (_OTHER_HEADS if len(wide_mlp) == 2 else ""))
    return sentences


def _has_wide_mlp(record: UnitRecord) -> bool:
    """Whether the head of the unit has the recipe ``mlp``."""
    head: Mapping[str, Any] = record["identity"].get("settings", {}).get("head", {})
    return head.get("recipe") == "mlp"


def _fine_tuning_text(protocol: str, settings: Mapping[str, Any]) -> str:
    augmented = "random crops, RandAugment and random erasing"
    augmentation = "no augmentation" if settings["augment"] == "none" else augmented
    return _FINE_TUNING[protocol] + _FINE_TUNING_SETTINGS.format(**settings["tune"], augmentation=augmentation)


def _model_sentences(records: Sequence[UnitRecord]) -> list[str]:
    sentences = []
    baselines = sorted({record["unit"]["encoder"] for record in records if record["floor"]})
    if IMAGENET_BASELINE in baselines:
        baselines.remove(IMAGENET_BASELINE)
        sentences.append(
            f"The baseline {IMAGENET_BASELINE} was EfficientNet-Lite0 trained on ImageNet, which contains no retinal "
            "images."
        )
    if baselines:
        sentences.append(
            f"Baselines without pre-training were {join_names(baselines)}; they are not trained, or trained on the "
            "support images alone."
        )
    untrained = sorted({record["unit"]["encoder"] for record in records if record["weights"] == "untrained"})
    if untrained:
        verb = "has" if len(untrained) == 1 else "have"
        sentences.append(f"The encoder{'' if verb == 'has' else 's'} {join_names(untrained)} {verb} random weights.")
    return sentences


def _settings(calls: Sequence[CallRecord], families: Mapping[str, str]) -> list[str]:
    settings = next((call["settings"] for call in calls if "settings" in call), None)
    if settings is None or not {"segmentation", "classification"} & set(families.values()):
        return []
    encoders = _ENCODERS.get(settings["finetune"], settings["finetune"])
    # In classification each encoder resizes to its own input size.
    size = f"images of {settings['image_size']} px, " if "segmentation" in families.values() else ""
    return [f"Settings: preset {settings['preset']}, {size}{encoders}."]


def statistics_text(records: Sequence[UnitRecord], procedure: Procedure) -> str:
    """Describe the intervals and tests.

    Args:
        records: Unit records.
        procedure: t-test over seeds and adjustment of p-values.
    """
    seeds = len({record["unit"]["seed"] for record in records})
    over = "shared seeds" if procedure.test == "paired" else "all seeds of each model"
    return " ".join(
        [
            _intervals_sentence(seeds, procedure),
            f"Models were compared by a {cite(CROSSED)}, in which the seeds are the readers and the test patients are "
            "the cases: the variance of a difference has the part between seeds, and the covariance of the seeds that "
            "their common test patients cause, which was computed by the jackknife of patients with all their images.",
            "It generalizes to other patients of the same kind, and to other heads, support images and splits where "
            "these differ between seeds."
            if seeds > 1
            else "With one seed it generalizes to other patients alone.",
            "The p-values were adjusted first for the choice of the two models among all pairs of models at the "
            "condition, or of the best other model among the pairs of a reference model that was named in advance, by "
            f"{cite(MAX_T)}, or by Bonferroni where models do not share their seeds or test images; then by the method "
            f"of {cite(procedure.adjustment_method)} over all comparisons of the report. A difference is called "
            "significant where the adjusted p-value is below 0.05; intervals are not adjusted. Sample sizes are those "
            "that would detect the observed difference, taken as the true one, with 80 % power in a comparison of "
            "these two models alone.",
            *_further_tests(seeds, over, procedure),
        ]
    )


def _intervals_sentence(seeds: int, procedure: Procedure) -> str:
    """What means are shown with, as a sentence or two."""
    method = cite(procedure.interval_method)
    if seeds < 2:
        none = "One seed was run, so neither standard deviations over seeds nor tests over seeds can be computed."
        alone = f"95 % intervals ({method}) are for other patients with the heads as trained."
        return f"{none} {alone}" if procedure.interval == "crossed" else none
    text = _INTERVALS[procedure.interval].format(method=method)
    return f"Values are means over {seeds} seeds with standard deviations (n − 1) and 95 % intervals {text}."


def _further_tests(seeds: int, over: str, procedure: Procedure) -> list[str]:
    """The tests that do not decide, as sentences."""
    patients = (
        f"the {cite(BOOTSTRAP_PERCENTILE)} with at least 2,000 replicates, {cite(DELONG_SEEDS)} for the AUROC of one "
        f"class, and the {cite(PAIRED_PERMUTATION)}, for new patients and the heads as trained"
    )
    if seeds < 2:
        return [f"Further tests are {patients}."]
    papers = "The papers' test, " if procedure.test == "paired" else "A t-test over seeds, "
    return [
        f"{papers}the two-sided {cite(procedure.seed_test)} over {over}, is reported beside it; it assumes independent "
        f"seeds. Further statistics are the {cite(CORRECTED_T)} where seeds are overlapping random splits, "
        f"{cite(procedure.effect_size)} and {cite(SIGNED_RANK)} over seeds, and, of means over seeds, {patients}."
    ]


def cite(method: Method) -> str:
    """Name and citation of a statistical method."""
    return f"{method.name} ({method.citation})"


def _software_paragraph(records: Sequence[UnitRecord]) -> str:
    versions = {software_text(record["provenance"]["software"]) for record in records}
    devices = {str(record["provenance"].get("device", NONE)) for record in records}
    return f"Software: {'; and '.join(sorted(versions))}. Devices: {', '.join(sorted(devices))}."


def _one_line(text: str) -> str:
    """Text without line breaks and without a full stop at its end."""
    return " ".join(str(text).split()).rstrip(".")
