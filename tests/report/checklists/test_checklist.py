"""Reporting checklists: items, statements that come from the records, and files."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest

from f2vbench import Results
from f2vbench.cli.main import main
from f2vbench.report.checklists.checklist import AUTHOR, FILLED, checklist_markdown, fill_checklists, guidelines
from f2vbench.report.checklists.evidence import Evidence
from f2vbench.report.checklists.facts import FACTS
from f2vbench.stats.procedure import Procedure
from tests.helpers.stored_runs import call_record, grid, write_run

CARD = {"labels": "graded by two ophthalmologists", "source": "a hospital", "unlabelled": "leave-out", "terms": "CC BY"}
DOUBLES = {"pictures": 0, "images": 0, "labels": 0, "pictures_across": 0, "alike": 0, "alike_patients": 0}
DOUBLES["alike_across"] = 0
TRIPOD_SUBITEMS = {
    3: "abc",
    5: "ab",
    6: "abc",
    8: "abc",
    9: "abc",
    12: "abcdefg",
    18: "abcdef",
    20: "abc",
    23: "ab",
    27: "abc",
}


def made_records():
    records = grid({"a": 0.9, "base": 0.7}, baselines=("base",), seeds=3, weights_sha256="ab" * 32)
    for record in records:
        record["identity"] |= {"model": {"architecture": "net-50"}, "settings": {"select": "last", "epochs": 7}}
        record["result"]["threshold"] = {"value": 0.5, "rule": "fixed at 0.5"}
        record["result"]["support_by_class"] = {"x": 4, "y": 4}
    records[0]["result"]["metrics"]["dice"] = None
    records[0]["result"]["reasons"]["dice"] = "no vessel"
    return records


def made_call():
    call = call_record({"eyes": CARD})
    call["data"]["eyes"] |= {"notes": ["3 images of no eye were left out"], "doubles": DOUBLES}
    call["settings"] |= {"train": None, "test": None}
    return call


def facts_of(records, calls):
    evidence = Evidence(Results(records, calls=calls), Procedure())
    return {name: function(evidence) for name, function in FACTS.items()}


@pytest.fixture(scope="module")
def answers():
    return fill_checklists(Results(made_records(), calls=[made_call()]), Procedure())


def test_the_items_are_those_of_the_guidelines():
    claim, tripod = (guideline["items"] for guideline in guidelines())
    assert [item["item"] for item in claim] == [str(number) for number in range(1, 45)]
    expected = [f"{n}{letter}" for n in range(1, 28) for letter in TRIPOD_SUBITEMS.get(n, " ")]
    assert [item["item"] for item in tripod] == [name.strip() for name in expected]
    for item in (*claim, *tripod):
        assert item.keys() <= {"item", "section", "topic", "facts", "author"}
        assert item.get("facts") or item["author"], item
        assert set(item.get("facts", ())) <= set(FACTS)


def test_every_fact_is_used():
    used = {name for guideline in guidelines() for item in guideline["items"] for name in item.get("facts", ())}
    assert used == set(FACTS)


def change(record, path, value):
    """Set a value at a dotted path."""
    *parents, last = path.split(".")
    for name in parents:
        record = record[name]
    record[last] = value


@pytest.mark.parametrize(
    ("fact", "where", "path", "value", "expected"),
    [
        ("sources", "call", "data.eyes.card.source", "a registry", "a registry"),
        ("terms", "call", "data.eyes.card.terms", "on request", "eyes: on request."),
        ("labels", "call", "data.eyes.card.labels", "by one reader", "eyes: by one reader."),
        ("notes", "call", "data.eyes.notes", ["cropped"], "eyes: cropped."),
        ("exclusions", "call", "data.eyes.card.unlabelled", "refuse", "without a label would have stopped the run"),
        ("missing", "record", "result.reasons.dice", "no disc", "1 of 12 values of metrics are missing"),
        ("missing", "record", "result.reasons.dice", "no disc", "(no disc)"),
        ("simulated", "call", "data.eyes.card.phantom", {"patients": 4}, "The images of eyes are simulated"),
        ("preprocessing", "call", "settings.image_size", 333, "333 px"),
        ("splits", "call", "data.eyes.card.test_fraction", 0.3, "30% of the patients"),
        ("counts", "call", "data.eyes.images", 1234, "1,234 images of 20 patients"),
        (
            "duplicates",
            "call",
            "data.eyes.doubles",
            DOUBLES | {"pictures": 2, "images": 5},
            "5 images are exact duplicates (2 distinct",
        ),
        ("models", "record", "identity.model.architecture", "other-net", "other-net"),
        (
            "weights",
            "record",
            "weights",
            "w.safetensors@1",
            "a: w.safetensors@1 (SHA-256 of the tensors abababababababab) or a",
        ),
        ("software", "record", "provenance.software", {"f2vbench": "9.9", "git": None, "python": "3"}, "f2vbench 9.9"),
        ("training", "record", "identity.settings.epochs", 11, "epochs=11 or 7"),
        ("selection", "record", "identity.settings.select", "val", "best AUROC on the validation set"),
        ("fusions", "record", "identity.model.fusion", "mean", "Fusions of several encoders: a."),
        ("metrics", "record", "main_metrics", ["dice"], "Main metrics: eyes: "),
        ("baselines", "record", "floor", True, "Baselines: a, base."),
        ("balance", "record", "result.support_by_class", {"x": 2, "y": 9}, "2 to 9"),
        ("thresholds", "record", "result.threshold.rule", "best Dice", "best Dice; fixed at 0.5"),
        ("external", "call", "settings", {"train": "x", "test": ["y"], "image_size": 1}, "no test on data of another"),
    ],
)
def test_statements_come_from_the_records(fact, where, path, value, expected):
    records, call = made_records(), made_call()
    before = facts_of(records, [call])[fact]
    change(call if where == "call" else records[0], path, copy.deepcopy(value))
    found = facts_of(records, [call])[fact]
    assert expected in found.text
    if fact not in ("external", "metrics") and "1 of 12" not in expected:
        assert before is None or expected not in before.text


def test_recorded_columns_are_summarised_over_the_test_images():
    records = made_records()
    for record in records:
        episode = record["result"]["episode"]
        ages = [str(40 + int(image[3:])) for image in episode["test"]]
        sexes = ["female" if int(image[3:]) % 2 else "" for image in episode["test"]]
        episode["columns"] = {"age": ages, "sex": sexes}
    numbers = sorted({int(image[3:]) for record in records for image in record["result"]["episode"]["test"]})
    odd = sum(number % 2 for number in numbers)
    text = facts_of(records, [made_call()])["characteristics"].text
    assert f"eyes, age: median {40 + np.median(numbers):g}, {40 + numbers[0]} to {40 + numbers[-1]}." in text
    assert f"eyes, sex: female {odd}, {len(numbers) - odd} not given." in text
    assert facts_of(made_records(), [made_call()])["characteristics"] is None


def test_external_validation_is_read_from_the_settings():
    records = grid({"a": 0.9}, seeds=1, task="odir-to-idrid")
    call = call_record({"odir-to-idrid": {}})
    call["settings"] |= {"train": "odir", "test": ["idrid"]}
    found = facts_of(records, [call])
    assert found["external"].text == "Odir-to-idrid: trained on odir, tested on idrid."
    assert found["internal"] is None


def test_numbers_of_images_patients_and_seeds_are_those_of_the_episodes():
    found = facts_of(made_records(), [made_call()])
    assert found["sizes"].text == "eyes: 10 test images of 10 patients and 1 training images in an episode."
    assert found["seeds"].text.startswith("eyes: 3 seeds.")
    assert "2 means of the main metrics, 2 of them with 95 % intervals" in found["performance"].text
    assert "single images are stored" in found["failures"].text


def test_an_image_in_both_parts_leaves_disjointness_to_the_author():
    records = made_records()
    records[1]["result"]["episode"]["support"] = [records[1]["result"]["episode"]["test"][0]]
    assert facts_of(records, [made_call()])["disjoint"] is None


def test_what_the_records_do_not_say_is_left_to_the_author():
    answers = fill_checklists(Results(made_records()), Procedure())
    by_item = {(each.guideline, each.item): each for each in answers}
    found = by_item["CLAIM 2024", "14"]
    assert found.status == AUTHOR
    assert found.author == "not in the records: definition"
    assert by_item["CLAIM 2024", "23"].status == FILLED


def test_ethics_and_funding_are_never_filled_in(answers):
    for each in answers:
        if each.section in ("ethics", "title", "abstract") or each.topic in ("funding", "conflicts of interest"):
            assert each.status == AUTHOR
            assert not each.statement


def test_every_statement_names_its_keys_and_every_open_item_says_what_to_add(answers):
    for each in answers:
        assert bool(each.statement) == bool(each.keys)
        assert each.statement or each.author


def test_the_report_writes_both_files_and_only_on_request(tmp_path):
    run = write_run(tmp_path / "run", made_records(), made_call())
    quiet = ["report", f"run={run}", "figures=none", "format=csv"]
    assert main([*quiet, f"out={tmp_path / 'plain'}"]) == 0
    assert not list((tmp_path / "plain").glob("checklist*"))
    for _ in range(2):  # the second call replaces its own files
        assert main([*quiet, f"out={tmp_path / 'out'}", "checklists=yes"]) == 0
    table = pd.read_csv(tmp_path / "out" / "checklist.csv", dtype=str, keep_default_na=False)
    assert len(table) == sum(len(guideline["items"]) for guideline in guidelines())
    text = (tmp_path / "out" / "checklist.md").read_text()
    assert text.count("\n| ") == len(table) + 4
    assert "graded by two ophthalmologists" in text


def test_markup_in_records_is_escaped(answers):
    call = made_call()
    call["data"]["eyes"]["card"]["labels"] = "<script>|x|</script>"
    text = checklist_markdown(fill_checklists(Results(made_records(), calls=[call]), Procedure()), "<b>")
    assert "<script>" not in text
    assert "<b>" not in text
