"""HTML page in a browser: sorting with keyboard and mouse, and layout on a phone."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import escape, unescape

import pytest

from f2vbench import Results
from f2vbench.report.content import report_content
from f2vbench.report.writers.html import page
from tests.helpers.stored_runs import call_record, grid, write_run

BROWSER = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="Chromium is not installed")

POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
SCRIPT = """
<script>
const state = {};
const table = document.querySelector("#table-eyes-few-shot table");
const column = (n) => [...table.tBodies[0].rows].map((row) => row.cells[n].dataset.value);
const heading = table.querySelectorAll("thead tr:last-child th")[1];
const button = heading.querySelector("button");
button.focus();
state.focused = document.activeElement === button;
button.click();
state.firstSort = heading.getAttribute("aria-sort");
state.afterFirst = column(1);
button.click();
state.secondSort = heading.getAttribute("aria-sort");
state.afterSecond = column(1);
table.querySelector("thead tr:last-child th button").click();
state.names = column(0);
state.sortedColumns = table.querySelectorAll("[aria-sort]").length;
state.pageWidth = document.documentElement.scrollWidth;
state.windowWidth = window.innerWidth;
state.focusableBoxes = [...document.querySelectorAll(".box")].every((box) => box.tabIndex === 0);
parent.document.title = JSON.stringify(state);
</script>
"""


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """State of the page after the clicks of the script, in a frame of the width of a phone."""
    folder = tmp_path_factory.mktemp("browser")
    levels = {"middle": 0.8, "best" * 12: 0.9, "<i>low</i>": 0.7}
    records = grid(levels, seeds=2, shots=(1, 2, 4, 8))
    write_run(folder / "run", records, call_record({"eyes": {"title": "A title of many words " * 4}}))
    html = page(report_content(Results.load(folder / "run")))
    html = POLICY.sub("", html).replace("</body>", SCRIPT + "</body>")
    # The minimum width of a browser window exceeds that of a phone, so the page is in a frame.
    frame = f'<title></title><iframe width="360" height="740" style="border: 0" srcdoc="{escape(html)}"></iframe>'
    (folder / "page.html").write_text(frame)
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    options.append(f"--user-data-dir={folder / 'profile'}")
    process = subprocess.run(
        [BROWSER, *options, f"file://{folder / 'page.html'}"], capture_output=True, text=True, timeout=120
    )
    title = re.search(r"<title>(.*?)</title>", process.stdout, re.DOTALL)
    assert title, process.stderr[-500:]
    return json.loads(unescape(title[1]))


def test_headings_sort_numbers_in_descending_order_first(state):
    numbers = [float(value) for value in state["afterFirst"]]
    assert state["focused"]
    assert state["firstSort"] == "descending"
    assert numbers == sorted(numbers, reverse=True)
    assert state["secondSort"] == "ascending"
    assert [float(value) for value in state["afterSecond"]] == sorted(numbers)


def test_names_sort_alphabetically_and_one_heading_shows_the_order(state):
    assert state["names"] == ["<i>low</i>", "best" * 12, "middle"]
    assert state["sortedColumns"] == 1


def test_the_page_fits_a_phone_and_tables_can_be_scrolled_with_the_keyboard(state):
    assert state["pageWidth"] <= state["windowWidth"] <= 360
    assert state["focusableBoxes"]
