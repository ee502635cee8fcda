"""A rater at the page of an assessment: ten videos by keyboard in Chromium, a reload in the middle, export, scores."""

from __future__ import annotations

import csv

import pytest

from f2vbench.cli.main import main
from f2vbench.videos.assessment.key import read_key
from tests.helpers.assessments import prepare_small, write_cases, write_ratings
from tests.helpers.browser import CHROMIUM, Browser

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

TITLE = "document.querySelector('#pair-title').textContent"
IS_SHOWN = "shown !== null"
IS_HELP_OPEN = "document.querySelector('#instructions').open"
FRAME = "document.querySelector('#frame').textContent"
SAVED = "document.querySelector('#saved').textContent"
WIDTHS = "[document.documentElement.scrollWidth, window.innerWidth]"
SMALL_TARGETS = """[...document.querySelectorAll("button, select, input[type=range], .options label")]
    .filter((each) => each.checkVisibility() && each.getBoundingClientRect().height < 24)
    .map((each) => each.outerHTML)"""
UNLABELLED = """[...document.querySelectorAll("button, select, input, textarea")].filter((each) =>
    !(each.labels?.length || each.getAttribute("aria-label") || each.textContent.trim()))
    .map((each) => each.outerHTML)"""
CENTRES = """["a", "b"].map((side) => { const canvas = document.querySelector(`[data-panel="${side}"] canvas`);
    return canvas.getContext("2d").getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data[0]; })"""
DENY_STORAGE = "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); }"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = write_cases(tmp_path_factory.mktemp("cases"))
    return prepare_small(folder, folder / "assessment")


@pytest.mark.slow
def test_ten_videos_are_rated_by_keyboard_with_a_reload_exported_and_scored(prepared, tmp_path, capsys):
    page, key = prepared.pages[0], read_key(prepared.key)
    with Browser(tmp_path / "profile") as browser:
        browser.download_to(tmp_path)
        browser.open(page)
        browser.wait_for(lambda: browser.evaluate(IS_SHOWN))
        assert browser.evaluate(IS_HELP_OPEN)
        browser.press("Enter")  # starts
        assert not browser.evaluate(IS_HELP_OPEN)
        for pair in range(10):
            if pair == 6:
                browser.press("1")  # one answer of the seventh pair, before the reload
                browser.reload()
                browser.wait_for(lambda: browser.evaluate(TITLE) == "Pair 7 of 10")
                assert not browser.evaluate(IS_HELP_OPEN)
                assert "6 of 10" in browser.evaluate("document.querySelector('#progress-text').textContent")
                browser.press("1", "1", "2")  # continues with the second question
            else:
                score = str(1 + pair % 5)
                browser.press(score, score, score, "1" if pair % 2 else "2")
            if pair == 3:
                browser.wait_for(lambda: browser.evaluate(IS_SHOWN))
                browser.evaluate("document.activeElement.blur()")
                browser.press(".", ".", ",")
                assert browser.evaluate(FRAME) == "Frame 2 of 12, arterial phase"
                browser.press("k")
                browser.wait_for(lambda: "Frame 2" not in browser.evaluate(FRAME))
                browser.press("k")
                stopped = browser.evaluate(FRAME)
                assert browser.evaluate("new Promise((done) => setTimeout(() => done(timer), 500))") is None
                assert browser.evaluate(FRAME) == stopped
            if pair < 9:
                browser.press("Enter")  # the focus is on Next
                browser.wait_for(lambda pair=pair: browser.evaluate(TITLE) == f"Pair {pair + 2} of 10")
        browser.evaluate("document.querySelector('#export').focus()")
        browser.press("Enter")
        exported = tmp_path / f"ratings-{prepared.identifier}-rater-1.csv"
        browser.wait_for(exported.is_file)
        assert "complete" in browser.evaluate(SAVED)
    with exported.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    expected = ["1", "2", "3", "4", "5", "1", "1", "3", "4", "5"]
    assert [row["perfusion"] for row in rows] == [row["lesions"] for row in rows] == expected
    assert [row["coherence"] for row in rows] == expected
    assert [row["acquired"] for row in rows] == ["B", "A"] * 3 + ["B", "A", "B", "A"]
    assert [row["video"] for row in rows] == [item["video"] for item in key["raters"][0]["items"]]
    other = write_ratings(tmp_path / "second.csv", key, 1, lambda item, criterion: "2")
    arguments = [str(exported), str(other), f"key={prepared.key}", f"out={tmp_path / 'scores'}"]
    assert main(["assess", "score", *arguments]) == 0
    assert "all answers are present" in capsys.readouterr().out


@pytest.mark.slow
def test_the_page_shows_the_sides_of_the_key_and_fits_wide_and_narrow_screens(prepared, tmp_path):
    item = read_key(prepared.key)["raters"][0]["items"][0]
    with Browser(tmp_path / "profile") as browser:
        browser.open(prepared.pages[0])
        browser.wait_for(lambda: browser.evaluate(IS_SHOWN))
        browser.press("Escape")
        number = int(item["image"].split("_")[0].removeprefix("c"))
        generated = {"near": 30, "far": 160}[item["method"]] + number
        sides = {"A": [generated, 20 + number], "B": [20 + number, generated]}[item["generated"]]
        assert browser.evaluate(CENTRES) == sides
        for width in (1280, 360):
            browser.resize(width, 800)
            browser.wait_for(lambda width=width: browser.evaluate(WIDTHS)[1] == width)
            scrolled, inner = browser.evaluate(WIDTHS)
            assert scrolled <= inner
            assert browser.evaluate(SMALL_TARGETS) == []
        assert browser.evaluate(UNLABELLED) == []
        panels = "[...document.querySelectorAll('figure')].filter((each) => each.checkVisibility()).length"
        browser.wait_for(lambda: browser.evaluate(panels) == 1)  # on a narrow screen, one at a time
        browser.resize(1280, 800)
        browser.wait_for(lambda: browser.evaluate(panels) == 3)
        browser.press("f")
        browser.wait_for(lambda: browser.evaluate(panels) == 1)


@pytest.mark.slow
def test_the_page_says_that_the_browser_does_not_save(prepared, tmp_path):
    with Browser(tmp_path / "profile") as browser:
        browser.call("Page.addScriptToEvaluateOnNewDocument", source=DENY_STORAGE)
        browser.open(prepared.pages[0])
        warning = browser.evaluate("document.querySelector('#warning').checkVisibility()")
        assert warning
        assert "export the CSV before" in browser.evaluate("document.querySelector('#warning').textContent")
        browser.press("Escape", "4")
        assert browser.evaluate(SAVED) == ""
        assert browser.evaluate("csv().split('\\r\\n')[1]").split(",")[4] == "4"
