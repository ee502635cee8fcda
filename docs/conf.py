"""Sphinx configuration: MyST pages, API pages from docstrings, reference pages from the code and the cards."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for reference_pages, which is no part of the package

from reference_pages import write_reference_pages

project = "f2vbench"
author = "The f2vbench authors"
copyright = "2026, the f2vbench authors"
release = version = installed_version("f2vbench")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build", "Thumbs.db", ".DS_Store"]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "fieldlist", "substitution"]
myst_heading_anchors = 3

default_role = "py:obj"  # docstrings name objects in single backticks
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autosummary_generate = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False

html_theme = "pydata_sphinx_theme"
html_title = f"f2vbench {version}"
html_static_path = ["_static"]
html_css_files = ["wide-tables.css"]
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
}
html_show_sourcelink = False
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True


def setup(app):
    """Generate the reference pages before Sphinx looks for source files."""
    app.connect("config-inited", lambda app, _: write_reference_pages(Path(app.srcdir) / "reference" / "generated"))
