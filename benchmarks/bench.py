"""Costs as ratios of processor time, each with the most memory that it took, in one run on this machine: `make bench`.

Ratios travel between machines, seconds do not; both are printed. `--others PYTHON` names an interpreter that has onnx-ir, onnx-tool and
onnxruntime, which are skipped where it lacks them; `--only WORD` measures the files whose name has the word, `--no-http` leaves out the
service.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import models, over_http
from benchmarks.cases import OTHERS

REPOSITORY = Path(__file__).resolve().parents[1]
OURS = ("report without values", "report with all values", "grid", "receptive fields alone")
PLAIN = ("count_nonzero of float32", "SHA-256", "reading")
NONE, ALL = OURS[:2]


@dataclass(frozen=True)
class Cost:
    """Processor seconds and the most mebibytes held; or the package that is missing."""

    seconds: float = 0.0
    mebibytes: float = 0.0
    missing: str = ""


@dataclass(frozen=True)
class Model:
    """A file that is made for the run, and what is measured of it."""

    name: str
    make: Callable[[Path, str], Path]
    cases: tuple[str, ...]


MODELS = (
    Model("resnet-50", models.resnet, (*OURS, *OTHERS, *PLAIN)),
    Model("vgg-16", models.vgg, (*OURS, *OTHERS, *PLAIN)),
    Model("wide-external", partial(models.resnet, width=4.34, external=True), (NONE, ALL, PLAIN[0])),
    Model("vgg-16-int8", partial(models.vgg, kind="int8"), (NONE, ALL, "count_nonzero of int8", "reading")),
    Model("vgg-16-int4", partial(models.vgg, kind="int4"), (NONE, ALL, "count_nonzero of int8", "reading")),
    Model("chain-1k", partial(models.chain, nodes=1_000), (NONE, *OTHERS[:2])),
    Model("chain-10k", partial(models.chain, nodes=10_000), (NONE, *OTHERS[:2])),
    Model("chain-100k", partial(models.chain, nodes=100_000), (NONE,)),
)


def run(case: str, path: Path, python: str) -> Cost:
    """Measure a case in a process of its own."""
    command = [python, str(REPOSITORY / "benchmarks" / "cases.py"), case, str(path)]
    found = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, check=False)
    if found.returncode:
        return Cost(missing=(found.stderr.strip().splitlines() or ["ended"])[-1][:80])
    return Cost(**json.loads(found.stdout.strip().splitlines()[-1]))


def table(rows: Sequence[Sequence[str]]) -> None:
    """Rows as a table in Markdown, the first of them its head."""
    head, *body = rows
    print("| " + " | ".join(head) + " |\n|---|" + "---:|" * (len(head) - 1))
    print("\n".join("| " + " | ".join(row) + " |" for row in body), flush=True)


def shown(cost: Cost, base: Cost) -> list[str]:
    """Seconds, times the base, and mebibytes."""
    if cost.missing:
        return ["not measured", cost.missing, ""]
    return [f"{cost.seconds:.4f} s", f"{cost.seconds / base.seconds:.2f}", f"{cost.mebibytes:.0f} MiB"]


def measure(model: Model, folder: Path, others: str) -> dict[str, Cost]:
    """All cases of a file, which is removed afterwards."""
    path = model.make(folder, model.name)
    size = sum(file.stat().st_size for file in folder.glob(f"{model.name}.*"))
    costs = {case: run(case, path, others if case in OTHERS else sys.executable) for case in model.cases}
    print(f"\n**{model.name}**, {size / 1e6:,.1f} MB\n")
    table([["what", "processor", "times (a)", "peak memory"], *([case, *shown(cost, costs[NONE])] for case, cost in costs.items())])
    return costs


class Goals:
    """What has to hold, and what was found."""

    def __init__(self) -> None:
        self.rows = [["goal", "found", "holds"]]

    def add(self, text: str, value: float, limit: float, *, least: bool = False) -> None:
        """A bound from above, or with `least` from below."""
        self.rows.append(
            [f"{text} {'≥' if least else '≤'} {limit:g}", f"{value:.2f}", "yes" if (value >= limit if least else value <= limit) else "no"]
        )


def values(goals: Goals, name: str, costs: dict[str, Cost], counted: str, limit: float) -> None:
    """What reading all values costs beyond the structure."""
    more = costs[ALL].seconds - costs[NONE].seconds
    goals.add(f"{name}: (b) − (a) against {counted}", more / costs[counted].seconds, limit)
    goals.add(f"{name}: mebibytes of (b) beyond (a)", costs[ALL].mebibytes - costs[NONE].mebibytes, 64)


def judge(found: dict[str, dict[str, Cost]]) -> Goals:
    """The goals that the files measured speak to."""
    goals = Goals()
    for name in ("resnet-50", "vgg-16", "wide-external"):
        if name in found:
            values(goals, name, found[name], PLAIN[0], 6)
    if "vgg-16-int8" in found:
        values(goals, "vgg-16-int8", found["vgg-16-int8"], "count_nonzero of int8", 3)
    for name, case, limit in (("vgg-16", OTHERS[0], 100), ("vgg-16", OTHERS[2], 20), ("resnet-50", OTHERS[1], 2)):
        costs = found.get(name, {})
        if case in costs and not costs[case].missing:
            goals.add(f"{name}: {case} against (a)", costs[case].seconds / costs[NONE].seconds, limit, least=True)
    if {"resnet-50", "wide-external"} <= found.keys():
        goals.add("(a) of 1.9 GB against 102 MB", found["wide-external"][NONE].seconds / found["resnet-50"][NONE].seconds, 1.5)
    chains = {name: found[name][NONE].seconds / int(name[6:-1]) for name in found if name.startswith("chain-")}
    if len(chains) > 1:
        goals.add("cost per node, most against least", max(chains.values()) / min(chains.values()), 1.3)
    return goals


def over_network(folder: Path, goals: Goals) -> None:
    """The service beside bare routes."""
    path = models.vgg(folder, "vgg-16")
    report = REPOSITORY / "examples" / "lenet-5.json"
    costs = over_http.measure(path, report.read_bytes())
    path.unlink()
    print("\n**the service over HTTP**, with vgg-16\n")
    table([["what", "processor"], *([name, f"{value:.5f} s" if name != "memory" else f"{value:.0f} MiB"] for name, value in costs.items())])
    goals.add("upload to report against streaming with SHA-256", costs["upload to report"] / costs["stream"], 1.3)
    goals.add("bare answer against cached report", costs["bare answer"] / costs["cached report"], 0.6, least=True)
    goals.add("bare 304 against 304", costs["bare 304"] / costs["304"], 0.6, least=True)


def processor() -> str:
    """The processor's name for itself."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--others", default=sys.executable)
    parser.add_argument("--only", default="")
    parser.add_argument("--no-http", action="store_true")
    asked = parser.parse_args()
    print(f"{datetime.date.today()}, {processor()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    found = {}
    for model in MODELS:
        if asked.only in model.name:
            with tempfile.TemporaryDirectory() as name:
                found[model.name] = measure(model, Path(name), asked.others)
    goals = judge(found)
    if not asked.no_http:
        with tempfile.TemporaryDirectory() as name:
            over_network(Path(name), goals)
    print()
    table(goals.rows)


if __name__ == "__main__":
    main()
