"""Names with markup of HTML, LaTeX and Markdown, and readers of both formats."""

from __future__ import annotations

import re
from html.parser import HTMLParser

MARKUP = "<script>alert('x')</script>"
TITLE = r"Eyes & 50% of $x_1$ #{a}~^\ <b>"


class ParsedPage(HTMLParser):
    """Elements of a page and their texts; checks that each element is closed."""

    def __init__(self, html: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br", "input", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data):
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)

    def attributes(self, tag: str) -> list[dict[str, str]]:
        """Attributes of each element of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]


def unescaped_characters(latex: str) -> list[str]:
    """Special characters of LaTeX without a backslash, after removal of all commands."""
    rest = re.sub(r"\\[A-Za-z]+|\\[{}$&%#_\\]", "", latex)
    return re.findall(r"[$#_%~^]", rest)


def table_text(latex: str) -> str:
    """LaTeX of tables without labels, rules, scaling and titles, whose special characters are commands."""
    return re.sub(r"\\(label|cmidrule|resizebox)[^\n]*|\\caption\{\\textbf", "", latex).replace("%\n", "")
