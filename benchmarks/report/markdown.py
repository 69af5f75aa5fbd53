"""Benchmarks' tables in Markdown, and the file they are published in: a section for each benchmark, replaced when it runs again."""

import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path

Tables = Mapping[str, Mapping[str, Mapping[str, float]]]

TITLE = "# Benchmarks\n\nMeasured by the scripts in `benchmarks/`, which wrote this page.\n"


def describe_machine() -> str:
    """Say what this runs on: processor, cores, memory, system, Python, and how busy the machine is."""
    try:
        model = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
        memory = f", {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except (OSError, ValueError):
        model, memory = None, ""
    processor = model[1].strip() if model else platform.machine()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{processor}, {cores} cores{memory}, {platform.system()}, Python {platform.python_version()}, "
        f"load {os.getloadavg()[0]:.1f} before"
    )


def write_tables(tables: Tables, machine: str, command: str) -> str:
    """Write a section's text: the command, the machine, and a table for each kind of figure."""
    parts = [f"`{command}`", machine + "."]
    for title, rows in tables.items():
        if not rows:
            continue
        lines = [
            f"| {title} | min | median | p99 | p99 / median | n |",
            "|---|---:|---:|---:|---:|---:|",
            *(
                f"| {name} | {row['min']:.1f} | **{row['median']:.1f}** | {row['p99']:.1f} "
                f"| {_divide(row['p99'], row['median'])} | {row['n']:.0f} |"
                for name, row in rows.items()
            ),
        ]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _divide(high: float, low: float) -> str:
    return f"{high / low:.1f}" if low else "-"


def write_section(file: Path, name: str, title: str, text: str) -> None:
    """Put a section into the file, in the place of the one of that name or at the end."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    section = f"{begin}\n\n## {title}\n\n{text}\n{end}"
    page = file.read_text("utf-8") if file.exists() else TITLE
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    page = pattern.sub(lambda _: section, page) if pattern.search(page) else page.rstrip() + "\n\n" + section
    file.write_text(page.rstrip() + "\n", encoding="utf-8")
