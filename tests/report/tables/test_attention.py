"""Table of the attention weights of fusions."""

from __future__ import annotations

import numpy as np
import pytest

from f2vbench import Results
from f2vbench.report.content import report_content
from f2vbench.report.writers.html import page
from f2vbench.report.writers.latex import tabular
from tests.helpers.stored_runs import grid
from tests.report.markup import table_text, unescaped_characters

CLASS = r"<script>alert(1)</script> & 50% \input{x}_$"


def test_weights_are_means_over_seeds_and_markup_in_class_names_is_escaped():
    records = grid({"a+b": 0.9, "a": 0.8}, seeds=2, family="classification", main_metrics=["auroc"])
    for record in records:
        if record["unit"]["encoder"] == "a+b":
            shift = record["unit"]["seed"] / 10
            record["result"]["attention"] = {CLASS: {"a": 0.6 + shift, "b": 0.4 - shift}, "well": {"a": 0.5, "b": 0.5}}
    content = report_content(Results(records))
    weights = {(row[2].text, row[3].text): row[4] for row in content.attention.rows}
    assert weights[CLASS, "a"].value == pytest.approx(0.65)
    assert weights[CLASS, "a"].detail == f"± {0.1 / np.sqrt(2):.3f}"
    assert content.attention.rows[0][0].text == "eyes, few-shot, 1 per class"
    assert content.attention in content.tables
    html, latex = page(content), tabular(content.attention)
    assert "Attention weights of fusions" in html
    assert CLASS not in html
    assert r"\input" not in latex.replace(r"\textbackslash{}input", "")
    assert not unescaped_characters(table_text(latex))
