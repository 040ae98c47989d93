"""How much memory is free, as far as the system says."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # mixtures ask as well, and run without torch
    import torch

_MEMINFO, _CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")
GIB = 2**30
#: Bytes; glibc's allocator returns blocks to the system up to what it has seen freed.
LARGE_BLOCK = 24 * 2**20


def keep_freed_memory() -> None:
    """Make the allocator keep temporaries for the next ones of their size.

    They would come as fresh pages, to be cleared, each time. Freeing one large, untouched
    block is enough.
    """
    import torch

    torch.empty(LARGE_BLOCK, dtype=torch.uint8)


def available_bytes(device: torch.device | None = None) -> int | None:
    """Bytes that a new array could take on a device (the CPU); None where nobody can tell."""
    if device is not None and device.type == "cuda":
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    if device is not None and device.type != "cpu":
        return None
    known = [n for n in (free_memory(_MEMINFO), container_memory(_CGROUP)) if n is not None]
    return min(known, default=None)


def free_memory(path: Path) -> int | None:
    """What Linux takes to be free without swapping."""
    with suppress(OSError, ValueError):
        for line in path.read_text().splitlines():
            name, _, rest = line.partition(":")
            if name == "MemAvailable":
                return 1024 * int(rest.split()[0])
    return None


def container_memory(folder: Path) -> int | None:
    """What a container's limit leaves; None without one.

    Cached files count as used there, but make room: they are taken off.
    """
    with suppress(OSError, ValueError, KeyError):
        limit, used = ((folder / f"memory.{name}").read_text() for name in ("max", "current"))
        pairs = (line.split() for line in (folder / "memory.stat").read_text().splitlines())
        cached = int(dict(pairs)["inactive_file"])
        return max(0, int(limit) - int(used) + cached)
    return None
