"""Files that `f2vbench report` writes."""

from __future__ import annotations

import base64
import re

import pandas as pd
import pytest

from f2vbench.cli.main import main
from f2vbench.errors import SettingsError
from f2vbench.report.writers.markdown import escaped
from tests.helpers.stored_runs import call_record, write_run
from tests.report.markup import ParsedPage


def test_the_command_writes_the_named_formats(run, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["report", f"run={run}", f"out={out}", "format=html,csv,md,latex", "figures=none"]) == 0
    assert f"written: {out / 'results.csv'}, summary.csv, comparison.csv" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == [
        *("comparison.csv", "cost.csv", "report.html", "report.md", "results.csv", "summary.csv", "tables.tex")
    ]
    summary = pd.read_csv(out / "summary.csv")
    assert list(summary.columns)[-6:] == ["sd", "low", "high", "interval", "interval_note", "reason"]
    assert set(summary.interval) == {"patients and heads"}
    for name in ("report.html", "report.md", "tables.tex"):
        assert "CI for other patients and other heads" in (out / name).read_text()
    comparison = pd.read_csv(out / "comparison.csv")
    adjusted = {
        f"p_{test}_adjusted" for test in ("corrected", "patients", "wilcoxon", "delong", "permutation", "predictions")
    }
    assert adjusted | {"why", "first", "second", "p_adjusted", "certainty", "effect", "sentence"} <= set(comparison)
    assert set(comparison.certainty) == {"significant"}


def test_figures_are_written_and_part_of_the_page(run, tmp_path):
    out = tmp_path / "out"
    assert main(["report", f"run={run}", f"out={out}", "format=html,md,png", "figures=fig3"]) == 0
    assert [path.name for path in (out / "figures").iterdir()] == ["few-shot-segmentation.png"]
    (image,) = ParsedPage((out / "report.html").read_text()).attributes("img")
    assert image["src"].startswith("data:image/svg+xml;base64,")
    svg = base64.b64decode(image["src"].partition(",")[2]).decode()
    decimals = [digits for path in re.findall(' d="([^"]*)"', svg) for digits in re.findall(r"\.(\d+)", path)]
    assert max(map(len, decimals)) <= 2
    text = (out / "report.md").read_text()
    assert "](figures/few-shot-segmentation.png)" in text
    assert escaped(image["alt"].partition(". ")[2]) in text


def test_unknown_formats_figures_styles_and_tests_are_errors(run, capsys):
    for argument, message in (
        ("format=htm", "did you mean 'html'"),
        ("figures=fig33", "fig3"),
        ("style=natur", "nature"),
        ("test=welsh", "did you mean 'welch'"),
        ("interval=croosed", "did you mean 'crossed'"),
        ("adjust=bonferroni", "adjust=bonferroni: must be one of holm, bh"),
    ):
        assert main(["report", f"run={run}", argument]) == 2
        assert message in capsys.readouterr().err


def test_parquet_requires_pyarrow_and_has_the_values_of_csv(results, tmp_path):
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        with pytest.raises(SettingsError, match="pip install pyarrow"):
            results.report(tmp_path / "out", format="parquet", figures="none")
        assert not (tmp_path / "out").exists()
        return
    results.report(tmp_path / "out", format="parquet,csv", figures="none")
    for name in ("results", "summary", "comparison"):
        parquet = pd.read_parquet(tmp_path / "out" / f"{name}.parquet")
        csv = pd.read_csv(tmp_path / "out" / f"{name}.csv")
        assert list(parquet.columns) == list(csv.columns)
        for column in csv:
            if pd.api.types.is_numeric_dtype(parquet[column]):
                expected = csv[column].astype(float).tolist()
                assert parquet[column].astype(float).tolist() == pytest.approx(expected, nan_ok=True)
            else:
                assert list(map(str, parquet[column])) == ["" if pd.isna(x) else str(x) for x in csv[column]]
    assert str(pd.read_parquet(tmp_path / "out" / "results.parquet").shots.dtype) == "Int64"


def test_a_run_without_completed_units_is_an_error(tmp_path, capsys):
    empty = write_run(tmp_path / "run", [], call_record({"eyes": {}}))
    assert main(["report", f"run={empty}", f"out={tmp_path / 'out'}"]) == 2
    assert "no completed unit" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
