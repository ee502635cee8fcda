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
from typing import Any

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


@cache
def software() -> dict[str, Any]:
    """Versions of f2vbench, Python and the libraries that decide a result, and the git state of a checkout."""
    return {
        "f2vbench": metadata.version("f2vbench"),
        "git": _git_state(),
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in LIBRARIES},
    }


@cache
def machine() -> dict[str, Any]:
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


def has_bf16() -> bool:
    """Whether it multiplies bfloat16 by itself (AVX-512 BF16, AMX); False where PyTorch, before 2.9, does not tell."""
    if not hasattr(torch.cpu, "get_capabilities"):
        return False
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


_RESET_PEAK = "5"  # proc(5): the peak becomes what is in use now
_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


@contextmanager
def peak_memory(device: Any = None) -> Iterator[dict[str, int]]:
    """Peaks while the block runs, in bytes, filled in at its end.

    ``process_bytes`` is the resident memory of this process, with all that it holds; absent where the system does not
    let a process set its peak back (Linux does). ``device_bytes`` is what PyTorch had allocated on a GPU; absent
    without one.

    Args:
        device: a ``torch.device``, or None for work without torch.
    """
    found: dict[str, int] = {}
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
