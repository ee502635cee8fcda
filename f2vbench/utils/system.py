"""Provenance of results: versions, git state and machine; and measurements of memory."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    import torch

LIBRARIES = (
    "torch",
    "timm",
    "segmentation-models-pytorch",
    "numpy",
    "pandas",
    "scipy",
    "scikit-image",
    "opencv-python-headless",
    "Pillow",
    "safetensors",
    "faiss-cpu",
)


class Software(TypedDict):
    """Versions that affect results.

    ``git`` is the commit of a checkout, with the suffix ``+changes`` if files are modified; None for a wheel.
    """

    f2vbench: str
    git: str | None
    python: str
    libraries: dict[str, str]


class Machine(TypedDict):
    """Operating system, processor, and the number of cores that the process may use."""

    system: str
    processor: str
    cores: int


@cache
def software() -> Software:
    """Versions of f2vbench, Python and the libraries that affect results."""
    return {
        "f2vbench": metadata.version("f2vbench"),
        "git": _git_state(),
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in LIBRARIES},
    }


@cache
def machine() -> Machine:
    """Operating system, processor, and number of cores that this process may use."""
    return {"system": platform.platform(), "processor": _processor(), "cores": cores()}


def cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes() -> int | None:
    """Physical memory in bytes, or None if the system does not report it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def has_gpu() -> bool:
    """Whether the machine seems to have an NVIDIA GPU; does not import torch."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return not hidden and shutil.which("nvidia-smi") is not None


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _git_state() -> str | None:
    """Commit of the checkout that contains this package, or None for an installed wheel."""
    folder = Path(__file__).resolve().parent
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None or _git(folder, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    return commit + ("+changes" if _git(folder, "status", "--porcelain", "--untracked-files=no") else "")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        process = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return process.stdout.strip() if process.returncode == 0 else None


_RESET_PEAK = "5"  # see clear_refs in proc(5)
_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


class MemoryPeaks(TypedDict, total=False):
    """Peaks of memory in bytes; absent where they are not known."""

    process_bytes: int
    device_bytes: int


@contextmanager
def peak_memory(device: torch.device | None = None) -> Iterator[MemoryPeaks]:
    """Measure the peak memory of the block.

    ``process_bytes`` is the resident memory of this process, including what it had before; absent if the system does
    not let a process reset its peak (Linux does). ``device_bytes`` is the memory that PyTorch allocated on a GPU;
    absent without one.

    Args:
        device: Device of the computation, or None for work without torch.

    Yields:
        The peaks, filled in at the end of the block.
    """
    peaks: MemoryPeaks = {}
    is_gpu = device is not None and device.type == "cuda"
    if is_gpu:
        import torch

        torch.cuda.reset_peak_memory_stats(device)
    try:
        _CLEAR.write_text(_RESET_PEAK)
        can_reset = True
    except OSError:
        can_reset = False
    yield peaks
    if can_reset:
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        peaks["process_bytes"] = 1024 * int(line.split()[1])
    if is_gpu:
        peaks["device_bytes"] = torch.cuda.max_memory_allocated(device)
