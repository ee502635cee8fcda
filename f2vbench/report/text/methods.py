"""Methods text ready to paste, from what the runs recorded: data, splits, protocol, tests, versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from f2vbench.report.text.wording import NONE
from f2vbench.stats.citations import (
    BOOTSTRAP_PERCENTILE,
    CORRECTED_T,
    DELONG_SEEDS,
    PAIRED_PERMUTATION,
    SIGNED_RANK,
    Method,
)
from f2vbench.stats.procedure import Procedure
from f2vbench.store.record_schema import CallRecord, UnitRecord
from f2vbench.utils.text import plural

_PROTOCOLS = {
    ("segmentation", "zero-shot"): "For zero-shot segmentation nothing was trained: the score of a pixel was the "
    "brightness of the angiogram that a model generates from the photograph, or the response of a filter.",
    (
        "segmentation",
        "few-shot",
    ): "For few-shot segmentation a U-Net decoder was trained on each encoder's feature maps "
    "of the support images alone (cross-entropy and soft Dice inside the field of view, AdamW, cosine schedule).",
    (
        "segmentation",
        "supervised",
    ): "For supervised segmentation the same decoder was trained on all images outside the test set.",
    ("classification", "zero-shot"): "For zero-shot classification a head with random weights was read out, as in the "
    "Fundus2Video paper; in expectation that is chance.",
    (
        "classification",
        "prototype",
    ): "The prototype read-out assigns the class whose mean support embedding is nearest.",
    ("classification", "knn"): "The k-nearest-neighbours read-out votes among the support embeddings.",
    ("classification", "probe"): "The probe is a logistic regression on frozen embeddings.",
    ("classification", "few-shot"): "For few-shot classification a multi-layer perceptron was trained on frozen "
    "embeddings of the support images of each class.",
    ("classification", "supervised"): "For supervised classification the same head was trained on the training part; "
    "the epoch was chosen on the validation part.",
    (
        "retrieval",
        "zero-shot",
    ): "For retrieval every image of the gallery was a query; the others were ordered by cosine "
    "similarity of embeddings, and those of the same patient count as found.",
    ("generation", "zero-shot"): "Generated angiograms were compared with the true frames of the same eye, inside the "
    "field of view, with metrics on [0, 1].",
}
_TUNED = {
    "few-shot": "For few-shot classification each encoder was trained end to end with a multi-layer perceptron on the "
    "support images of each class",
    "supervised": "For supervised classification each encoder was trained end to end with the head on the training "
    "part, and the epoch chosen on the validation part",
}
_RECIPE = (
    " (AdamW, layer-wise learning-rate decay {layer_decay:g}, stochastic depth {drop_path:g}, {views}, as RETFound is "
    "fine-tuned); baselines without a network had the head alone trained."
)
_SPLITS = {
    "random": "each seed drew {share:.0%} of the patients as its test set",
    "official": "the published division was used",
    "auto": "the published division was used where the data have one",
}


def methods_text(
    records: Sequence[UnitRecord], calls: Sequence[CallRecord], families: Mapping[str, str], procedure: Procedure
) -> list[str]:
    """Paragraphs for a methods section; what a run did not record is said to be missing."""
    paragraphs = [_data(task, records, calls) for task in families]
    paragraphs.append(_protocol(records, calls, families))
    paragraphs.append(_tests(records, procedure))
    return [*paragraphs, _software(records)]


def card_of(task: str, calls: Iterable[CallRecord]) -> dict[str, Any]:
    """The data of a task as its newest call recorded them: card, images, patients, fingerprint, notes; or nothing."""
    return next((dict(call["data"][task]) for call in calls if task in call.get("data", {})), {})


def title_of(task: str, calls: Iterable[CallRecord]) -> str:
    """A task's title on its card, or its name."""
    return str(card_of(task, calls).get("card", {}).get("title") or task)


def cite(method: Method) -> str:
    return f"{method.name} ({method.citation})"


def _data(task: str, records: Sequence[UnitRecord], calls: Sequence[CallRecord]) -> str:
    mine = [record for record in records if record["unit"]["task"] == task]
    seeds = len({record["unit"]["seed"] for record in mine})
    held = card_of(task, calls)
    card = held.get("card")
    if not card:
        return f"{task}: the runs did not record this task's card, so its data can't be described here."
    tested = {len(record["result"]["episode"]["test"]) for record in mine}
    size = f"{min(tested):,}" if len(tested) == 1 else f"{min(tested):,} to {max(tested):,}"
    about = f"{card['title']}: {plural(held['images'], 'image')} of {plural(held['patients'], 'patient')}"
    split = _SPLITS[card["split"]].format(share=card["test_fraction"])
    text = (
        f"{about} ({_sentence(card['source'])}). Labels: {_sentence(card['labels'])}. For testing, {split}; "
        f"{size} test images, {plural(seeds, 'seed')}. No patient is on both sides of a split, and every encoder saw "
        "the same support and test images at a seed."
    )
    return f"{text} {' '.join(f'{_sentence(note)}.' for note in held.get('notes', []))}".strip()


def _protocol(records: Sequence[UnitRecord], calls: Sequence[CallRecord], families: Mapping[str, str]) -> str:
    used = dict.fromkeys((families[record["unit"]["task"]], record["unit"]["protocol"]) for record in records)
    tuned = {
        record["unit"]["protocol"]: record["identity"]["settings"]
        for record in records
        if families[record["unit"]["task"]] == "classification"
        and record["identity"].get("settings", {}).get("finetune") == "full"
    }
    sentences = [
        _fine_tuning(place[1], tuned[place[1]])
        if place[0] == "classification" and place[1] in tuned
        else _PROTOCOLS[place]
        for place in used
        if place in _PROTOCOLS
    ]
    baselines = sorted({record["unit"]["encoder"] for record in records if record["floor"]})
    if baselines:
        sentences.append(f"Baselines: {_listed(baselines)}; they learn nothing, or from the support images alone.")
    untrained = sorted({record["unit"]["encoder"] for record in records if record["weights"] == "untrained"})
    if untrained:
        sentences.append(f"Random weights, and no models, are {_listed(untrained)}.")
    settings = [call["settings"] for call in calls if "settings" in call]
    if settings and any(family in ("segmentation", "classification") for family, _ in used):
        chosen = settings[0]
        encoders = {"frozen": "frozen encoders", "full": "encoders trained along"}
        sentences.append(
            f"Settings: preset {chosen['preset']}, images of {chosen['image_size']} px, "
            f"{encoders.get(chosen['finetune'], chosen['finetune'])}."
        )
    return " ".join(sentences)


def _fine_tuning(protocol: str, settings: Mapping[str, Any]) -> str:
    views = "no augmentation" if settings["augment"] == "none" else "random crops, RandAugment and random erasing"
    return _TUNED[protocol] + _RECIPE.format(**settings["tune"], views=views)


def _tests(records: Sequence[UnitRecord], procedure: Procedure) -> str:
    seeds = len({record["unit"]["seed"] for record in records})
    if seeds < 2:
        return "One seed was run, so there is no spread over seeds, and no test over seeds is possible."
    over = "shared seeds" if procedure.test == "paired" else "all seeds of each"
    return (
        f"Values are means over {seeds} seeds with standard deviations (n − 1) and intervals of 1.96 standard errors. "
        f"Models were compared by the two-sided {cite(procedure.seed_test)} over {over}; by the {cite(CORRECTED_T)} "
        "where the seeds' test sets are overlapping random splits; and, for other patients with the heads as trained, "
        f"by the {cite(BOOTSTRAP_PERCENTILE)}, at least 2,000 replicates, each patient with all images, of means over "
        "seeds. "
        f"p-values were adjusted after {cite(procedure.adjustment_method)} over all comparisons shown; a difference is "
        "called sure where both the test over seeds and that over patients stay below 0.05. Beside these stand "
        f"{cite(procedure.effect_size)} over seeds, {cite(SIGNED_RANK)}, {cite(DELONG_SEEDS)} for AUROC of two "
        f"classes, and the {cite(PAIRED_PERMUTATION)}, of means over seeds."
    )


def _software(records: Sequence[UnitRecord]) -> str:
    versions = {software_text(record["provenance"]["software"]) for record in records}
    devices = {str(record["provenance"].get("device", NONE)) for record in records}
    return f"Software: {'; and '.join(sorted(versions))}. Devices: {', '.join(sorted(devices))}."


def software_text(software: Mapping[str, Any]) -> str:
    """``f2vbench 0.1.0 (commit 1234abcd), Python 3.12.1, torch 2.8.0, …``"""
    commit = f" (commit {software['git'][:12]}{_changed(software['git'])})" if software.get("git") else ""
    libraries = [f"{name} {version}" for name, version in software.get("libraries", {}).items() if version != "absent"]
    return ", ".join([f"f2vbench {software['f2vbench']}{commit}", f"Python {software['python']}", *libraries])


def _changed(git: str) -> str:
    return " with uncommitted changes" if git.endswith("+changes") else ""


def _sentence(text: str) -> str:
    """Without line breaks, and without the full stop that the next sentence sets."""
    return " ".join(str(text).split()).rstrip(".")


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
