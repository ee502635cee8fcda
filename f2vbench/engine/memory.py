"""The most memory that a piece of work comes to need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
