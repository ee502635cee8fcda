"""Reporting checklists with what the records say filled in, as a data frame and as Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml

from f2vbench.report.checklists.evidence import Evidence
from f2vbench.report.checklists.facts import FACTS
from f2vbench.report.tables.table import Cell, Table, text_columns
from f2vbench.report.writers.markdown import escaped, markdown
from f2vbench.stats.procedure import Procedure

if TYPE_CHECKING:
    from f2vbench.report.run_results import RunResults

FILLED = "filled in from the records"
PARTLY = "partly filled in"
AUTHOR = "author"
COLUMNS = ["guideline", "item", "section", "topic", "status", "statement", "from", "author"]
_NOTE = (
    "Statements are those of the stored records and name the keys that they come from. Topics are in our own words and "
    "do not replace the published checklist: its items ask for more than a topic says."
)


@dataclass(frozen=True)
class Answer:
    """An item of a checklist with what is known about it.

    Attributes:
        guideline: Name of the guideline.
        item: Number of the item.
        section: Section of the checklist.
        topic: What the item asks, in our own words.
        statement: What the records say; empty where they say nothing.
        keys: Keys of the records that the statement comes from.
        author: What the author must add; empty where the statement answers the item.
    """

    guideline: str
    item: str
    section: str
    topic: str
    statement: str
    keys: str
    author: str

    @property
    def status(self) -> str:
        """`FILLED`, `PARTLY` or `AUTHOR`."""
        return AUTHOR if not self.statement else PARTLY if self.author else FILLED


def fill_checklists(results: RunResults, procedure: Procedure) -> list[Answer]:
    """Answer the items of all checklists as far as the records allow.

    Args:
        results: Results of the runs.
        procedure: t-test over seeds, adjustment of p-values and interval of the report.

    Returns:
        One answer for each item, in the order of the guidelines.
    """
    evidence = Evidence(results, procedure)
    facts = {name: function(evidence) for name, function in FACTS.items()}
    answers = []
    for guideline in guidelines():
        for item in guideline["items"]:
            names = item.get("facts", [])
            found = [fact for name in names if (fact := facts[name]) is not None]
            absent = f"not in the records: {item['topic']}" if names and not found else ""
            answers.append(
                Answer(
                    guideline["guideline"],
                    item["item"],
                    item["section"],
                    item["topic"],
                    " ".join(fact.text for fact in found),
                    "; ".join(dict.fromkeys(fact.keys for fact in found)),
                    "; ".join(filter(None, (absent, item["author"]))),
                )
            )
    return answers


def checklist_frame(answers: list[Answer]) -> pd.DataFrame:
    """Content of ``checklist.csv``, with the columns `COLUMNS`.

    Args:
        answers: Answers of `fill_checklists`.
    """
    rows = [
        (each.guideline, each.item, each.section, each.topic, each.status, each.statement, each.keys, each.author)
        for each in answers
    ]
    frame: pd.DataFrame = pd.DataFrame(rows, columns=COLUMNS)
    return frame


def checklist_markdown(answers: list[Answer], title: str) -> str:
    """Content of ``checklist.md``: a table for each guideline, and the items that only the author can answer.

    Args:
        answers: Answers of `fill_checklists`.
        title: Title of the report.
    """
    parts = [f"# Reporting checklists: {escaped(title)}", escaped(_NOTE)]
    for guideline in guidelines():
        own = [each for each in answers if each.guideline == guideline["guideline"]]
        parts.append(markdown(_table(guideline, own)))
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


@cache
def guidelines() -> tuple[dict[str, Any], ...]:
    """Guidelines with their items, as in ``items.yaml``."""
    return tuple(yaml.safe_load(files(__package__).joinpath("items.yaml").read_text(encoding="utf-8")))


def _table(guideline: dict[str, Any], answers: list[Answer]) -> Table:
    statuses = [each.status for each in answers]
    caption = (
        f"{guideline['citation']}. {statuses.count(FILLED)} items are filled in from the records, "
        f"{statuses.count(PARTLY)} partly; {statuses.count(AUTHOR)} only the author can answer."
    )
    rows = [
        [
            Cell(each.item),
            Cell(f"{each.section}: {each.topic}"),
            Cell(f"{each.statement} (from: {each.keys})" if each.statement else "–"),
            Cell(each.author or "–"),
        ]
        for each in answers
    ]
    columns = text_columns("item", "topic", "from the records", "the author adds")
    return Table("checklist", guideline["guideline"], caption, columns, rows)
