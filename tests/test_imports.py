"""The house keeps its one direction: a module imports only from its right in the arrow line."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "f2vbench"
# Left to right; a module may import from its own place and from any place to its right.
ORDER = [
    ["cli", "__main__"],
    ["publish"],
    ["doctor", "overview", "listing", "datasets", "reporting", "simulation", "stored_embeddings"],
    ["benchmark"],
    ["search"],
    ["costs", "estimate"],
    ["plan"],
    ["opening"],
    ["videos"],
    ["generator"],
    ["engine"],
    ["encoders"],
    ["store.features"],
    ["adapters"],
    ["heads"],
    ["results"],
    ["report"],
    [
        *("comparisons", "comparison_frame", "cost_frame", "model_tests", "further_tests", "tested_cases", "procedure"),
        *("merging", "retrieval_results", "tidy"),
    ],
    ["store"],
    ["stats"],
    ["metrics", "data", "units", "provenance"],
    ["words"],
    ["phantom"],
    ["settings"],
    ["tuning_settings"],
    ["setting_types"],
    ["hub"],
    ["weights_cards"],
    ["store.checkpoints"],
    ["files", "processes", "processor"],
    ["errors", "progress", "torchvision_compat", "tasks", "weights"],
]


def _place(module: str) -> int:
    parts = module.split(".")
    for depth in (2, 1):
        name = ".".join(parts[:depth])
        for place, names in enumerate(ORDER):
            if name in names:
                return place
    raise AssertionError(f"{module} has no place in the order: add it")


def _imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("f2vbench."):
            found.append(node.module.removeprefix("f2vbench."))
        elif isinstance(node, ast.Import):
            found += [a.name.removeprefix("f2vbench.") for a in node.names if a.name.startswith("f2vbench.")]
    return found


def _modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path.name != "__init__.py"]


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_its_right(path):
    module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    wrong = [target for target in _imports(path) if _place(target) < _place(module)]
    assert not wrong, f"{module} imports {wrong}, which stand to its left"


@pytest.mark.parametrize(
    "words",
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
def test_importing_and_help_do_not_load_heavy_libraries(words):
    code = [sys.executable, "-X", "importtime", *words]
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
    assert set(printing) <= {"main.py", "progress.py"}
