"""What a measurement ran on: when, processor, cores, memory, and what else kept it busy."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import psutil


def heading() -> str:
    """One line for the top of a measurement's report."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {hardware()}"


def hardware() -> str:
    cores, memory = os.cpu_count(), psutil.virtual_memory().total / 2**30
    load = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    return f"{processor()}, {cores} cores, {memory:.0f} GiB; load {load}; Python {platform.python_version()}"


def processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
