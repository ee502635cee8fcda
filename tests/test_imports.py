"""Imports stay cheap, and only the command line prints. The order of layers is a contract in pyproject.toml."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "f2vbench"


def _modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path.name != "__init__.py"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["-c", "import f2vbench, f2vbench.phantom"],
        ["-m", "f2vbench", "--help"],
        ["-m", "f2vbench", "run", "--help"],
        ["-m", "f2vbench", "phantom", "--help"],
        ["-m", "f2vbench", "train", "--help"],
        ["-m", "f2vbench", "search", "--help"],
        ["-m", "f2vbench", "data", "check", "--help"],
        ["-m", "f2vbench", "generate", "--help"],
        ["-m", "f2vbench", "score", "--help"],
        ["-m", "f2vbench", "export", "--help"],
        ["-m", "f2vbench", "weights", "push", "--help"],
        ["-m", "f2vbench", "weights", "list"],
    ],
)
def test_importing_and_help_do_not_load_heavy_libraries(arguments):
    code = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(code, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert not loaded & {"torch", "pandas", "timm", "cv2"}


def test_only_the_command_line_prints():
    printing = [
        path.name
        for path in _modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert set(printing) <= {"main.py", "verb_kinds.py", "verbs.py", "cache_verbs.py", "progress.py"}
