"""How long one full text observation takes at the DevTools boundary, on pages of 2,500 and 35,000 elements.

`python benchmarks/observation_speed.py [--rounds 15] [--elements 2500 35000] [--json]`: the time from asking the
walker to read the page until its answer is here, roles, names, values, states and nesting of every line included.
Reading the answer into `Element`s is timed on its own. One page has wide tables, the other forms and lists.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from milepost.sandbox.browser import Browser
from milepost.sandbox.page import Page
from milepost.sandbox.settle import build_elements

TARGET_MS = {2_500: 15.0, 35_000: 250.0}


def table(count: int) -> str:
    """Write a table: per row ten elements, four of them interactive."""
    rows = (
        f'<tr><td>{i}</td><td><a href="#{i}">Item {i}</a></td><td><input type="checkbox" aria-label="Pick {i}"></td>'
        f"<td><span>In stock</span></td><td><button>Buy</button><button>Later</button></td></tr>"
        for i in range(count // 11)
    )
    return f"<h1>Items</h1><table><tbody>{''.join(rows)}</tbody></table>"


def forms(count: int) -> str:
    """Write forms with labels, lists with links, and boxes within boxes."""
    parts = (
        f'<section><h2>Part {i}</h2><div><div><label for="a{i}">Name {i}</label><input id="a{i}" value="v{i}"></div>'
        f"<label><input type='radio' name='r{i}'> Yes</label><select><option>One<option>Two</select></div>"
        f"<ul><li><a href='#x'><b>More</b> about {i}</a></li><li>Text {i}</li></ul></section>"
        for i in range(count // 16)
    )
    return "".join(parts)


SHAPES: dict[str, Callable[[int], str]] = {"table": table, "forms": forms}


async def measure(page: Page, rounds: int) -> Iterator[list[float]]:
    """Give the milliseconds of each observation, of each reading into elements, and the number of lines."""
    observe: list[float] = []
    parse: list[float] = []
    lines = 0
    for _ in range(rounds):
        start = time.perf_counter()
        value: Any = await page.evaluate("milepost.step(1000, false)")
        observe.append((time.perf_counter() - start) * 1e3)
        start = time.perf_counter()
        lines = len(build_elements(orjson.loads(value["rows"])))
        parse.append((time.perf_counter() - start) * 1e3)
    return iter((observe, parse, [float(lines)]))


async def run(sizes: list[int], rounds: int) -> list[dict[str, Any]]:
    """Measure every page; the rounds of a page are in a row, after one that is not counted."""
    browser = await Browser.launch()
    context = (await browser.connection.send("Target.createBrowserContext"))["browserContextId"]
    create = {"url": "about:blank", "browserContextId": context}
    target = (await browser.connection.send("Target.createTarget", create))["targetId"]
    page = await Page.attach(browser, target=target, tab=0, viewport=(1024, 768), sink=lambda *_: None)
    results: list[dict[str, Any]] = []
    for size in sizes:
        for shape, write in SHAPES.items():
            await page.navigate("about:blank")
            await page.read()
            html = json.dumps(write(size))
            await page.evaluate(f"document.body.innerHTML = {html}; 0")
            elements = await page.evaluate("document.querySelectorAll('*').length")
            await measure(page, 1)
            observe, parse, (lines,) = await measure(page, rounds)
            results.append(
                {
                    "page": shape,
                    "elements": elements,
                    "lines": int(lines),
                    "n": rounds,
                    "min_ms": min(observe),
                    "median_ms": statistics.median(observe),
                    "max_ms": max(observe),
                    "parse_median_ms": statistics.median(parse),
                    "target_ms": TARGET_MS.get(size),
                }
            )
    await browser.close()
    return results


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--elements", type=int, nargs="+", default=list(TARGET_MS))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--compact", action="store_true", help="JSON on one line")
    options = parser.parse_args()
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    load = [round(x, 2) for x in os.getloadavg()]
    results = asyncio.run(run(options.elements, options.rounds))
    if options.json:
        indent = None if options.compact else 2
        print(json.dumps({"machine": machine, "load": load, "observation": results}, indent=indent))
        return
    print(f"{machine}, load {load}")
    print(
        f"{'page':<8}{'elements':>9}{'lines':>8}{'min':>9}{'median':>9}{'max':>9}{'n':>5}{'parse':>9}{'target':>9}"
    )
    for r in results:
        target = f"{r['target_ms']:9.0f}" if r["target_ms"] else f"{'-':>9}"
        print(
            f"{r['page']:<8}{r['elements']:9}{r['lines']:8}{r['min_ms']:9.1f}{r['median_ms']:9.1f}"
            f"{r['max_ms']:9.1f}{r['n']:5}{r['parse_median_ms']:9.1f}{target}"
        )


if __name__ == "__main__":
    main()
