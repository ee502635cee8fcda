"""What the records say about data, labels, splits and sizes, for reporting checklists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from f2vbench.report.checklists.evidence import Evidence, Fact, span
from f2vbench.report.text.limitations import duplicate_counts, duplicate_texts
from f2vbench.report.text.methods import split_text, task_record
from f2vbench.report.text.wording import as_sentence
from f2vbench.store.record_schema import TaskRecord
from f2vbench.utils.text import plural, shortened

_MOST_VALUES = 8


def _of_tasks(evidence: Evidence, describe: Callable[[TaskRecord], str], keys: str) -> Fact | None:
    """A clause for each task whose card is recorded, tasks with equal clauses together; None where no task has one."""
    tasks: dict[str, list[str]] = {}
    for task, record in _tasks(evidence):
        if text := _one_line(describe(record)):
            tasks.setdefault(text, []).append(task)
    return (
        Fact(". ".join(f"{', '.join(names)}: {text}" for text, names in tasks.items()) + ".", keys) if tasks else None
    )


def _tasks(evidence: Evidence) -> Iterator[tuple[str, TaskRecord]]:
    for task in evidence.results.families:
        record = task_record(task, evidence.results.calls)
        if record is not None and record.get("card"):
            yield task, record


def _one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")


def sources(evidence: Evidence) -> Fact | None:
    """Where the images of each task come from."""
    return _of_tasks(
        evidence, lambda record: f"{record['card']['title']}, {record['card']['source']}", "call.data.card"
    )


def terms(evidence: Evidence) -> Fact | None:
    """Terms of use of each data set."""
    return _of_tasks(evidence, lambda record: str(record["card"].get("terms", "")), "call.data.card.terms")


def simulated(evidence: Evidence) -> Fact | None:
    """Tasks whose images are simulated."""
    names = [task for task, record in _tasks(evidence) if record["card"].get("phantom")]
    if not names:
        return None
    return Fact(
        f"The images of {shortened(names)} are simulated; no person was photographed.", "call.data.card.phantom"
    )


def notes(evidence: Evidence) -> Fact | None:
    """What was done to the images of a task before the run, as the notes of its data say."""
    return _of_tasks(evidence, lambda record: "; ".join(map(str, record.get("notes", []))), "call.data.notes")


def exclusions(evidence: Evidence) -> Fact | None:
    """What happened to images without a label and to absent files."""
    rules = {"refuse": "would have stopped the run", "leave-out": "were left out", "join": "were joined"}

    def describe(record: TaskRecord) -> str:
        card = record["card"]
        found = [
            f"{name} {rules.get(card[key], card[key])}"
            for key, name in (("unlabelled", "images without a label"), ("absent", "listed images without a file"))
            if card.get(key)
        ]
        return "; ".join([*found, *map(str, record.get("notes", []))])

    return _of_tasks(evidence, describe, "call.data.card, call.data.notes")


def missing(evidence: Evidence) -> Fact | None:
    """Treatment of missing labels, and results without a value."""
    rule = exclusions(evidence)
    frame = evidence.results.frame
    absent = frame[frame.value.isna()]
    counted = f"{len(absent):,} of {plural(len(frame), 'value')} of metrics are missing"
    reasons = "; ".join(sorted({str(reason) for reason in absent.reason if reason}))
    values = (
        f"{counted}, each with its reason in results.csv ({reasons})." if len(absent) else f"{as_sentence(counted)}"
    )
    text = " ".join(filter(None, (rule.text if rule else "", values)))
    return Fact(text, "call.data.card, record.result.metrics, record.result.reasons")


def labels(evidence: Evidence) -> Fact | None:
    """Definition of the labels of each task."""
    return _of_tasks(evidence, lambda record: str(record["card"].get("labels", "")), "call.data.card.labels")


def preprocessing(evidence: Evidence) -> Fact | None:
    """Image size, and that each encoder owns its preprocessing."""
    settings = [call["settings"] for call in evidence.results.calls if "image_size" in call.get("settings", {})]
    if not settings:
        return None
    sizes = sorted({f"{each['image_size']} px" for each in settings})
    text = (
        f"Images of segmentation and generation had {' or '.join(sizes)} a side; other encoders resized and normalised "
        "photographs as they were trained."
    )
    return Fact(text, "call.settings.image_size")


def splits(evidence: Evidence) -> Fact | None:
    """How test sets were drawn."""
    return _of_tasks(evidence, split_text, "call.data.card.split, call.data.card.test_fraction, call.data.notes")


def seeds(evidence: Evidence) -> Fact | None:
    """Number of seeds, and what differed between them."""
    numbers = evidence.results.frame.groupby("task").seed.nunique()
    counts = "; ".join(f"{task}: {plural(int(count), 'seed')}" for task, count in numbers.items())
    text = f"{counts}. All models had the same support and test images at each seed."
    return Fact(text, "record.unit.seed, record.result.episode")


def disjoint(evidence: Evidence) -> Fact | None:
    """That no patient is in the training and the test set of an episode, where the records show it."""
    crossing, known = 0, False
    for record in evidence.results.records:
        episode = record["result"]["episode"]
        known |= bool(episode["support"]) and bool(episode.get("patients"))
        crossing += len(set(episode["support"]) & set(episode["test"]))
    if not known or crossing:
        return None
    return Fact(
        "Patients were divided, not images, where the data name patients; no image was in the support and the test set "
        "of an episode.",
        "record.result.episode",
    )


def duplicates(evidence: Evidence) -> Fact | None:
    """What the checks for duplicate images found."""
    found = {task: duplicate_counts(task, evidence.results.calls) for task in evidence.results.families}
    texts = [
        f"{task}: {'; '.join(duplicate_texts(counts_of)) or 'no exact duplicates and no near-duplicates'}."
        for task, counts_of in found.items()
        if counts_of
    ]
    return Fact(" ".join(texts), "call.data.doubles") if texts else None


def sizes(evidence: Evidence) -> Fact | None:
    """Numbers of test images, test patients and support images."""
    by_task: dict[str, list[Mapping[str, Any]]] = {}
    for record in evidence.results.records:
        by_task.setdefault(record["unit"]["task"], []).append(record["result"]["episode"])
    texts = []
    for task, episodes in by_task.items():
        images = span([len(episode["test"]) for episode in episodes])
        patients = span([len(set(episode["patients"])) for episode in episodes if episode.get("patients")])
        support = span([len(episode["support"]) for episode in episodes])
        of_patients = f" of {patients} patients" if patients else ""
        texts.append(f"{task}: {images} test images{of_patients} and {support} training images in an episode")
    return Fact(". ".join(texts) + ".", "record.result.episode") if texts else None


def characteristics(evidence: Evidence) -> Fact | None:
    """Distribution of the recorded columns, such as age and sex, over the test images of all seeds."""
    values: dict[tuple[str, str], dict[str, str]] = {}
    for record in evidence.results.records:
        episode = record["result"]["episode"]
        for column, own in episode.get("columns", {}).items():
            given = zip(episode["test"], own, strict=True)
            values.setdefault((record["unit"]["task"], column), {}).update(given)
    texts = [f"{task}, {column}: {_distribution(list(own.values()))}." for (task, column), own in values.items()]
    return Fact(f"Of the test images: {' '.join(texts)}", "record.result.episode.columns") if texts else None


def _distribution(values: Sequence[str]) -> str:
    """Median and range of numbers, or the counts of the most frequent values; and how many are missing."""
    given = [value for value in values if value]
    absent = f", {len(values) - len(given):,} not given" if len(given) < len(values) else ""
    try:
        numbers = [float(value) for value in given]
    except ValueError:
        numbers = []
    if numbers and len(set(numbers)) > _MOST_VALUES:
        return f"median {median(numbers):g}, {min(numbers):g} to {max(numbers):g}{absent}"
    shown = Counter(given).most_common(_MOST_VALUES)
    more = len(set(given)) - len(shown)
    listed = ", ".join(f"{name} {count:,}" for name, count in shown) + (f", {more:,} more values" if more else "")
    return f"{listed or 'no values'}{absent}"


def counts(evidence: Evidence) -> Fact | None:
    """Numbers of images and patients of each task."""

    def describe(record: TaskRecord) -> str:
        return f"{plural(record['images'], 'image')} of {plural(record['patients'], 'patient')}"

    return _of_tasks(evidence, describe, "call.data.images, call.data.patients")
