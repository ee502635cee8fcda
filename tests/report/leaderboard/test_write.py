"""Files of a leaderboard: page, JSON and CSV."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest

from f2vbench.cli.main import main
from f2vbench.report.leaderboard.page import leaderboard_page
from tests.helpers.browser import CHROMIUM, Browser
from tests.report.markup import MARKUP, ParsedPage

ROWS = "[...document.querySelectorAll('section[data-task] tr[data-training]')].filter((row) => row.checkVisibility())"
NAMES = f"{ROWS}.map((row) => row.cells[0].firstChild.textContent.trim())"
CHOOSE = """(() => {{ const form = document.querySelector("form.filters"); form.elements.{name}.{property} = {value};
    form.dispatchEvent(new Event("change")); return document.querySelector(".count").textContent; }})()"""


def test_page_json_and_csv_have_the_same_values(folders, tmp_path, capsys):
    out = tmp_path / "board"
    assert main(["leaderboard", *map(str, folders), f"out={out}", "title=T"]) == 0
    printed = capsys.readouterr().out
    assert "rite, few-shot, 1 shot, data data: 5 models by auroc; first: strong (rank 1)" in printed
    content = json.loads((out / "leaderboard.json").read_text())
    table = pd.read_csv(out / "leaderboard.csv", keep_default_na=False)
    html = (out / "leaderboard.html").read_text()
    board = next(board for board in content["boards"] if len(board["entries"]) > 1)
    assert board["shots"] == 1
    for entry in board["entries"]:
        own = table[(table.model == entry["label"]) & (table.data == "data") & (table.metric == "auroc")]
        assert float(own["mean"].iloc[0]) == entry["values"]["auroc"]["mean"]
        assert (int(own.rank_low.iloc[0]), int(own.rank_high.iloc[0])) == tuple(entry["ranks"])
        assert f'data-value="{entry["values"]["auroc"]["mean"]}"' in html
    assert table.published.astype(str).value_counts()["True"] == 35
    assert set(table[table.published.astype(str) == "True"].source.str.contains("Fund")) == {True}


def test_a_second_call_replaces_its_own_files_and_refuses_others(folders, tmp_path, capsys):
    out = tmp_path / "board"
    arguments = ["leaderboard", str(folders[2]), f"out={out}"]
    assert main(arguments) == 0
    first = (out / "leaderboard.html").read_bytes()
    assert main(arguments) == 0
    assert (out / "leaderboard.html").read_bytes() == first
    (out / "leaderboard.csv").write_text("name,value\n")
    assert main(arguments) == 2
    assert "was not written by this command" in capsys.readouterr().err
    assert (out / "leaderboard.csv").read_text() == "name,value\n"


def test_an_unknown_metric_is_an_error_with_a_suggestion(folders, tmp_path, capsys):
    assert main(["leaderboard", str(folders[0]), "metric=aurok", f"out={tmp_path / 'b'}"]) == 2
    assert "did you mean 'auroc'?" in capsys.readouterr().err


def test_the_page_is_well_formed_self_contained_and_escaped(leaderboard):
    html = leaderboard_page(leaderboard)
    parsed = ParsedPage(html)
    assert not parsed.open
    assert MARKUP not in html
    assert "<b>" not in html
    assert "Models &amp; &lt;ranks&gt;" in html
    links = [attributes[name] for _, attributes in parsed.elements for name in ("src", "href") if name in attributes]
    assert all(link.startswith("#") for link in links)
    assert "'none'" in re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1]
    assert html == leaderboard_page(leaderboard)


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_filters_hide_rows_and_the_page_fits_a_phone(leaderboard, tmp_path):
    (tmp_path / "page.html").write_text(leaderboard_page(leaderboard))
    with Browser(tmp_path / "profile", (360, 800)) as browser:
        browser.open(tmp_path / "page.html")
        assert browser.evaluate("document.documentElement.scrollWidth") == 360
        total = browser.evaluate(f"{ROWS}.length")
        assert total == (5 + 1) + (1 + 1) + 33  # models of two boards, published rows of both, and those elsewhere
        shown = browser.evaluate(CHOOSE.format(name="licence", property="value", value="'MIT'"))
        assert shown == f"1 of {total} rows shown"
        assert browser.evaluate(NAMES) == ["strong †"]
        browser.evaluate("document.querySelector('form.filters').reset()")
        browser.evaluate("new Promise((done) => setTimeout(done, 20))")
        assert browser.evaluate(f"{ROWS}.length") == total
        browser.evaluate(CHOOSE.format(name="published", property="checked", value="false"))
        assert "fundus2video" not in browser.evaluate(NAMES)
        browser.evaluate(CHOOSE.format(name="pretrained", property="checked", value="false"))
        browser.evaluate(CHOOSE.format(name="baselines", property="checked", value="false"))
        assert sorted(set(browser.evaluate(NAMES)) & {"strong †", "tophat", "strong"}) == ["strong"]
        browser.evaluate("document.querySelector('form.filters').reset()")
        for column in range(10):  # every heading sorts, and rows without a value stay last
            browser.evaluate(f"document.querySelectorAll('section[data-task] thead th')[{column}].firstChild.click()")
        assert browser.evaluate("document.querySelectorAll('[aria-sort]').length") == 1
        cells = "[...document.querySelector('section[data-task] tbody').rows].map((row) => row.cells.length)"
        assert set(browser.evaluate(cells)) == {10}
        browser.resize(1280, 900)
        assert browser.evaluate("document.documentElement.scrollWidth") == 1280
