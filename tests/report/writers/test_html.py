"""HTML page: escaping, security policy, reproducibility, and figures."""

from __future__ import annotations

import base64
import hashlib
import io
import re

from PIL import Image

from f2vbench import Results
from f2vbench.report.content import report_content
from f2vbench.report.figures.catalogue import draw_figures
from f2vbench.report.writers.html import page, page_figure
from tests.report.markup import MARKUP, TITLE, ParsedPage


def test_the_page_is_well_formed_and_markup_in_data_is_escaped(content):
    html = page(content)
    parsed = ParsedPage(html)
    assert not parsed.open
    assert MARKUP not in html
    assert MARKUP in parsed.texts["th"]
    assert "<b>" not in html
    assert any(TITLE in text for text in parsed.texts["h3"])
    assert len(parsed.attributes("script")) == 1
    assert not [attributes for _, attributes in parsed.elements if any(name.startswith("on") for name in attributes)]


def test_the_page_links_only_to_itself(content):
    parsed = ParsedPage(page(content))
    links = [attributes[name] for _, attributes in parsed.elements for name in ("src", "href") if name in attributes]
    assert all(link.startswith(("#", "data:")) for link in links)
    anchors = {attributes["id"] for _, attributes in parsed.elements if "id" in attributes}
    assert {link[1:] for link in links if link.startswith("#")} <= anchors


def test_the_security_policy_allows_the_script_of_the_page_alone(content):
    html = page(content)
    policy = next(attrs["content"] for attrs in ParsedPage(html).attributes("meta") if "http-equiv" in attrs)
    assert "default-src 'none'" in policy
    for tag in ("script", "style"):
        source = re.search(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy


def test_equal_runs_give_equal_pages(run, content):
    assert page(report_content(Results.load(run))) == page(content)


def test_a_large_figure_is_stored_as_webp(results, monkeypatch):
    drawn = next(iter(draw_figures(results, ["fig3"])))
    monkeypatch.setattr("f2vbench.report.writers.html._LARGEST_SVG", 1000)
    shown = page_figure(drawn)
    assert shown.source.startswith("data:image/webp;base64,")
    with Image.open(io.BytesIO(base64.b64decode(shown.source.partition(",")[2]))) as picture:
        assert picture.format == "WEBP"
        assert picture.width == int(drawn.figure.get_figwidth() * 200)
