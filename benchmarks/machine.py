"""The processor of this machine, for the first line of a benchmark's output."""

from pathlib import Path


def machine() -> str:
    """Number of cores and name of the processor, as Linux tells them."""
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return f"{len(names)} cores of {names[0].split(':')[1].strip()}" if names else "unknown machine"
