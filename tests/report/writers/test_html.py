"""The page in a real browser: sorting by keyboard and mouse, and no sideways scrolling on a phone."""

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
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")

POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
ASK = """
<script>
const found = {};
const table = document.querySelector("#table-eyes-few-shot table");
const column = (n) => [...table.tBodies[0].rows].map((row) => row.cells[n].dataset.value);
const heading = table.querySelectorAll("thead tr:last-child th")[1];
const button = heading.querySelector("button");
button.focus();
found.focused = document.activeElement === button;
button.click();
found.first = heading.getAttribute("aria-sort");
found.falling = column(1);
button.click();
found.second = heading.getAttribute("aria-sort");
found.rising = column(1);
table.querySelector("thead tr:last-child th button").click();
found.names = column(0);
found.sorted = table.querySelectorAll("[aria-sort]").length;
found.page = document.documentElement.scrollWidth;
found.window = window.innerWidth;
found.boxes = [...document.querySelectorAll(".box")].every((box) => box.tabIndex === 0);
parent.document.title = JSON.stringify(found);
</script>
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    levels = {"middle": 0.8, "best" * 12: 0.9, "<i>low</i>": 0.7}
    records = grid(levels, seeds=2, shots=(1, 2, 4, 8))
    write_run(folder / "run", records, call_record({"eyes": {"title": "A title of many words " * 4}}))
    html = POLICY.sub("", page(report_content(Results.load(folder / "run")))).replace("</body>", ASK + "</body>")
    # In a frame, because a browser's own window has a least width that is more than a phone's.
    frame = f'<title></title><iframe width="360" height="740" style="border: 0" srcdoc="{escape(html)}"></iframe>'
    (folder / "page.html").write_text(frame)
    words = ["--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    words.append(f"--user-data-dir={folder / 'profile'}")
    done = subprocess.run(
        [BROWSER, *words, f"file://{folder / 'page.html'}"], capture_output=True, text=True, timeout=120
    )
    title = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
    assert title, done.stderr[-500:]
    return json.loads(unescape(title[1]))


def test_headings_sort_the_rows_numbers_falling_first(seen):
    numbers = [float(value) for value in seen["falling"]]
    assert seen["focused"]
    assert seen["first"] == "descending"
    assert numbers == sorted(numbers, reverse=True)
    assert seen["second"] == "ascending"
    assert [float(value) for value in seen["rising"]] == sorted(numbers)


def test_names_sort_by_letters_and_one_heading_tells_the_order(seen):
    assert seen["names"] == ["<i>low</i>", "best" * 12, "middle"]
    assert seen["sorted"] == 1


def test_the_page_fits_a_phone_and_its_tables_can_be_scrolled_by_keyboard(seen):
    assert seen["page"] <= seen["window"] <= 360
    assert seen["boxes"]
