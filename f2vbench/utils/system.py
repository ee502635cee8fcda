"""Where a result comes from: package and library versions, git state, machine."""

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
    """Versions that decide a result; ``git`` is the commit, None when installed from a wheel."""

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
    """Versions of f2vbench, Python and the libraries that decide a result, and the git state of a checkout."""
    return {
        "f2vbench": metadata.version("f2vbench"),
        "git": _git_state(),
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in LIBRARIES},
    }


@cache
def machine() -> Machine:
    """System, processor and the cores this process may use."""
    return {"system": platform.platform(), "processor": _processor(), "cores": cores()}


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes() -> int | None:
    """Physical memory, or None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def has_gpu() -> bool:
    """Whether an NVIDIA GPU seems to be there, asked without importing torch."""
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
    """``<commit>`` or ``<commit>+changes`` of the checkout this package lives in; None when installed from a wheel."""
    folder = Path(__file__).resolve().parent
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None or _git(folder, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    return commit + ("+changes" if _git(folder, "status", "--porcelain", "--untracked-files=no") else "")


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


_RESET_PEAK = "5"  # proc(5): the peak becomes what is in use now
_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


class MemoryPeaks(TypedDict, total=False):
    """Peaks of memory in bytes; absent where they are not known."""

    process_bytes: int
    device_bytes: int


@contextmanager
def peak_memory(device: torch.device | None = None) -> Iterator[MemoryPeaks]:
    """Peaks while the block runs, in bytes, filled in at its end.

    ``process_bytes`` is the resident memory of this process, with all that it holds; absent where the system does not
    let a process set its peak back (Linux does). ``device_bytes`` is what PyTorch had allocated on a GPU; absent
    without one.

    Args:
        device: a ``torch.device``, or None for work without torch.
    """
    found: MemoryPeaks = {}
    is_gpu = device is not None and device.type == "cuda"
    if is_gpu:
        import torch

        torch.cuda.reset_peak_memory_stats(device)
    try:
        _CLEAR.write_text(_RESET_PEAK)
        can_tell = True
    except OSError:
        can_tell = False
    yield found
    if can_tell:
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        found["process_bytes"] = 1024 * int(line.split()[1])
    if is_gpu:
        found["device_bytes"] = torch.cuda.max_memory_allocated(device)
