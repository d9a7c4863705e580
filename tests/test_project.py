"""The promises of the repository itself: which room imports which, sizes, lock files, and the rule on skips."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import service
from service.settings import MEBIBYTE, Settings

REPOSITORY = Path(__file__).resolve().parents[1]
SOURCES = sorted((REPOSITORY / "service").rglob("*.py"))
LOCKS = sorted((REPOSITORY / "requirements").glob("*.txt"))
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())

# bytes → readers → graph → analysis → report → render → bytes. `work` puts the flow together, and whoever wants a piece of it done names a
# task of its table and gets what was made: those two leaf modules are all that `jobs`, `api` and `cli` see. `jobs` says when and where;
# `store` keeps bytes and knows nothing of models. The names of faults (faults) travel from every room to the HTTP boundary.
MAY_IMPORT = {
    "graph": set(),
    "options": {"edits"},
    "edits": {"faults", "suggestions"},
    "suggestions": set(),
    "limits": set(),
    "settings": {"limits"},
    "clock": set(),
    "report": {"edits", "faults", "options", "suggestions"},
    "faults": set(),
    "sources": {"faults", "report.identity"},
    "readers": {"edits", "faults", "graph", "limits", "options", "sources", "suggestions"},
    "analysis": {"faults", "graph", "options", "report"},
    "render": {"analysis", "faults", "graph", "options", "report"},
    "store": {"clock", "faults", "report.identity", "settings", "sources"},
    "work": {"clock", "edits", "faults", "readers", "analysis", "render", "graph", "options", "report", "sources"},
    "jobs": {"clock", "metrics", "faults", "options", "report", "sources", "store", "work.made", "work.tasks"},
    "api": {
        "edits",
        "faults",
        "jobs",
        "logs",
        "metrics",
        "options",
        "render",
        "report",
        "server",
        "settings",
        "sources.address",
        "store",
        "suggestions",
        "work.made",
        "work.tasks",
    },
    "server": set(),
    "metrics": set(),
    "logs": set(),
    "worker": {"jobs", "logs", "metrics", "settings", "store", "work.tasks"},
    "cli": {"clock", "edits", "jobs", "store", "work.made", "work.tasks", "render", "options", "settings", "report", "faults"},
}
# Packages that only the named rooms may import.
CONFINED = {
    "prometheus_client": {"metrics"},
    "gunicorn": {"server", "api"},
    "onnx": {"readers"},
    "google": {"readers"},
    "celery": {"jobs"},
    "kombu": {"jobs"},
    "obstore": {"store", "sources"},
    "psycopg": {"store"},
    "flask": {"api"},
    "flask_smorest": {"api"},
}
UNSAFE = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
TOO_HEAVY = {"torch", "onnxruntime", "tensorflow", "jax", "keras"}
# We aim at 400 lines. The vocabulary of operators is longer, because it is one table: a short class for each operator.
MOST_LINES = 450
MOST_LINES_OF = {"service/graph/operators.py": 520}
MOST_FUNCTION_LINES = 60


def room(path: Path) -> str:
    """The part of service/ that a file belongs to: `graph` for service/graph/network.py, `options` for service/options.py."""
    return path.relative_to(REPOSITORY / "service").with_suffix("").parts[0]


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything that a file imports, wherever in the file it does."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def is_within(name: str, modules: set[str]) -> bool:
    """Whether a dotted name is one of the modules or lies in one."""
    return any(f"{name}.".startswith(f"{module}.") for module in modules)


def locked(path: Path) -> list[Requirement]:
    """The requirements of a lock file, without their hashes."""
    return [Requirement(line.rstrip(" \\")) for line in path.read_text().splitlines() if line and line[0] not in " #"]


def test_rooms_import_along_the_arrows() -> None:
    wrong = []
    for path in SOURCES:
        here = room(path)
        for line, name in imports(path):
            inside = name.removeprefix("service.")
            if inside == name or inside == "__version__" or is_within(inside, {here}):
                continue
            if not is_within(inside, MAY_IMPORT[here]):
                wrong.append(f"{path.relative_to(REPOSITORY)}:{line} imports {name}")
    assert wrong == []


def test_whoever_starts_a_process_knows_nothing_of_the_store() -> None:
    local = [path for path in SOURCES if path.is_relative_to(REPOSITORY / "service" / "jobs" / "local")]
    assert local
    assert [name for path in local for _, name in imports(path) if is_within(name, {"service.store", "sqlalchemy", "alembic"})] == []


def test_nothing_is_sent_or_received_as_an_object() -> None:
    """Connection.send pickles and Connection.recv unpickles; jobs.local.channel sends bytes and JSON."""
    wrong = [
        f"{path.relative_to(REPOSITORY)}:{node.lineno} {node.attr}"
        for path in SOURCES
        if room(path) == "jobs"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("send", "recv", "Queue", "Manager", "Pool")
    ]
    assert wrong == []


def test_server_that_names_tasks_loads_nothing_that_reads_a_model_or_computes() -> None:
    code = "import sys, service.api; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.split()
    assert "service.api" in loaded
    assert [name for name in loaded if is_within(name, {"numpy", "onnx", "google.protobuf", "service.analysis", "service.readers"})] == []


def module_of(path: Path) -> str:
    """The dotted name of a file, `service.graph` for service/graph/__init__.py."""
    return ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Imports for types alone count: what two files need of each other belongs into one, or into a third."""
    known = {module_of(path): path for path in SOURCES}
    graph: dict[str, set[str]] = {}
    for module, path in known.items():
        named = {name if name in known else name.rpartition(".")[0] for _, name in imports(path)}
        graph[module] = {name for name in named if name in known and name != module}
    with pytest.raises(CycleError):
        tuple(TopologicalSorter({"a": {"b"}, "b": {"a"}}).static_order())
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' → '.join(reversed(error.args[1]))}")


def test_packages_stay_in_their_rooms() -> None:
    wrong = [
        f"{path.relative_to(REPOSITORY)}:{line} imports {name}"
        for path in SOURCES
        for line, name in imports(path)
        if room(path) not in CONFINED.get(name.split(".")[0], {room(path)}) or name.split(".")[0] in UNSAFE
    ]
    assert wrong == []


def test_analysis_needs_numpy_and_fingerprints_of_its_arrays_and_nothing_else() -> None:
    packages = {name.split(".")[0] for path in SOURCES if room(path) in ("graph", "analysis", "faults") for _, name in imports(path)}
    assert packages - sys.stdlib_module_names == {"numpy", "service", "xxhash"}


def test_everything_imported_is_locked_for_the_runtime() -> None:
    names = {canonicalize_name(requirement.name) for requirement in locked(REPOSITORY / "requirements" / "runtime.txt")}
    distributions = packages_distributions()
    packages = {name.split(".")[0] for path in SOURCES for _, name in imports(path)} - sys.stdlib_module_names - {"service"}
    # A namespace such as google belongs to several distributions; one of them locked is enough.
    missing = {package for package in packages if names.isdisjoint(map(canonicalize_name, distributions.get(package, [])))}
    assert missing == set()


def test_files_and_functions_stay_readable() -> None:
    too_long = []
    for path in SOURCES:
        text = path.read_text()
        name = str(path.relative_to(REPOSITORY))
        if text.count("\n") > MOST_LINES_OF.get(name, MOST_LINES):
            too_long.append(f"{name} has {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno >= MOST_FUNCTION_LINES:
                too_long.append(f"{name}:{node.lineno} {node.name} has {node.end_lineno - node.lineno + 1} lines")
    assert too_long == []


def test_no_two_modules_of_tests_share_a_name() -> None:
    """pytest imports a module of tests by its bare name."""
    names = [path.name for path in (REPOSITORY / "tests").rglob("*.py") if "node_modules" not in path.parts]
    assert sorted({name for name in names if name.startswith("test_") and names.count(name) > 1}) == []


def test_the_version_is_stated_once_in_effect() -> None:
    assert PROJECT["project"]["version"] == service.__version__


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_locks_name_no_place_and_hash_everything(path: Path) -> None:
    text = path.read_text()
    assert re.findall(r"(?m)^-.*|\S+://\S+", text) == [], "a lock file holds no option and no address"
    entries = re.split(r"\n(?=\S)", re.sub(r"(?m)^#.*\n", "", text).strip())
    assert len(entries) > 20
    assert [entry for entry in entries if not re.match(r"[a-z0-9.-]+==\S+ .*\\\n    --hash=sha256:[0-9a-f]{64}\b", entry)] == []


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_no_framework_is_locked(path: Path) -> None:
    assert TOO_HEAVY.isdisjoint(requirement.name for requirement in locked(path))


def test_locks_hold_what_the_project_asks_for() -> None:
    runtime, dev = (locked(REPOSITORY / "requirements" / name) for name in ("runtime.txt", "dev.txt"))
    # Without their markers, which may be wider where a tool needs the same package elsewhere too.
    versions = [{f"{requirement.name}{requirement.specifier}" for requirement in lock} for lock in (runtime, dev)]
    assert versions[0] <= versions[1], "tests run on what is served"
    extras = [wanted for extra in PROJECT["project"]["optional-dependencies"].values() for wanted in extra]
    for declared, lock in ((PROJECT["project"]["dependencies"] + extras, runtime), (PROJECT["dependency-groups"]["dev"], dev)):
        for wanted in map(Requirement, declared):
            found = [next(iter(r.specifier)).version for r in lock if canonicalize_name(r.name) == canonicalize_name(wanted.name)]
            assert found, f"{wanted.name} is not locked: make lock"
            assert all(version in wanted.specifier for version in found), f"{wanted} is locked at {found}: make lock"


def test_make_help_lists_every_target() -> None:
    text = (REPOSITORY / "Makefile").read_text()
    phony = re.search(r"(?m)^\.PHONY: (.*)$", text)
    assert phony is not None
    assert sorted(phony[1].split()) == sorted(re.findall(r"(?m)^([a-z-]+):.*## ", text))


SAMPLE_TESTS = """
import pytest

def test_without_a_browser():
    pytest.skip("no Chromium is installed")

def test_without_a_module():
    pytest.importorskip("a_module_that_is_not_there")

def test_without_the_corpus():
    pytest.skip("the corpus of real models is absent")

def test_known_to_fail():
    pytest.xfail("known")
"""


@pytest.mark.parametrize(
    ("ci", "outcomes"),
    [("true", {"failed": 2, "skipped": 1, "xfailed": 1}), ("", {"skipped": 3, "xfailed": 1})],
    ids=["in CI", "elsewhere"],
)
def test_ci_takes_no_skip_but_for_the_absent_corpus(tmp_path: Path, ci: str, outcomes: dict[str, int]) -> None:
    shutil.copy(REPOSITORY / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_sample.py").write_text(SAMPLE_TESTS)
    environment = {**os.environ, "CI": ci, "RECEPTIVE_CORPUS": str(tmp_path / "absent"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)]
    run = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    last = run.stdout.strip().splitlines()[-1]
    assert {outcome: int(count) for count, outcome in re.findall(r"(\d+) (failed|passed|skipped|xfailed)", last)} == outcomes


def test_memory_of_the_container_is_what_its_processes_may_take() -> None:
    """As many jobs as the pool has places, the process that draws, and the server."""
    limit = re.search(r"(?m)^    mem_limit: (\d+)m$", (REPOSITORY / "docker-compose.yml").read_text())
    assert limit is not None
    settings = Settings()
    needed = (settings.pool_size + 1) * settings.job_memory_bytes + 512 * MEBIBYTE
    assert int(limit[1]) * MEBIBYTE >= needed


def test_security_page_names_tests_that_exist() -> None:
    """A promise without a test is none."""
    place, names = None, []
    for path, name in re.findall(r"`(?:(tests/\S+?\.py))?(?:::(test_\w+))?`", (REPOSITORY / "docs" / "security.md").read_text()):
        place = path or place
        if name:
            names.append((place, name))
    assert len(names) > 10
    assert [(path, name) for path, name in names if f"def {name}(" not in (REPOSITORY / path).read_text()] == []
