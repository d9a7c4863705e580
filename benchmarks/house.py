"""How the code is built, in figures: `make house` (another checkout: `python benchmarks/house.py FOLDER`).

The figures say where to look, not what is good: sizes of files and functions, how crowded the folders are, what the type checker cannot see
(`Any`, subscripts by a string), import circles, exception classes, and lines of tests for each line of code.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

Trees = Mapping[Path, ast.Module]

_ANY_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


def parsed(folder: Path) -> Trees:
    """The Python files below a folder."""
    return {path: ast.parse(path.read_text()) for path in sorted(folder.rglob("*.py"))}


def lines(path: Path) -> int:
    """The lines of a file."""
    return path.read_text().count("\n")


def share(values: Iterable[int], part: float) -> int:
    """The value below which that part of all values lies."""
    ordered = sorted(values)
    return ordered[min(int(part * len(ordered)), len(ordered) - 1)]


def functions(trees: Trees) -> list[int]:
    """The lines of every function."""
    found = (node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, _ANY_FUNCTION))
    return [(node.end_lineno or node.lineno) - node.lineno + 1 for node in found]


def mentions(trees: Trees, name: str) -> int:
    """How often a name is used or imported."""
    return sum(
        (isinstance(node, ast.Name) and node.id == name) or (isinstance(node, ast.alias) and node.name == name)
        for tree in trees.values()
        for node in ast.walk(tree)
    )


def string_subscripts(trees: Trees) -> int:
    """Values read by a string literal, as in `layer["name"]`; annotations such as `Literal["a"]` do not count."""
    return sum(
        isinstance(node, ast.Subscript)
        and isinstance(node.ctx, ast.Load)
        and isinstance(node.slice, ast.Constant)
        and isinstance(node.slice.value, str)
        and not (isinstance(node.value, ast.Name) and node.value.id == "Literal")
        for tree in trees.values()
        for node in ast.walk(tree)
    )


def exceptions(trees: Trees) -> list[str]:
    """The classes that derive, directly or not, from an exception of Python or of a library (by its name)."""
    classes = [node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    known = {name for name, value in vars(builtins).items() if isinstance(value, type) and issubclass(value, BaseException)}
    known |= {"HTTPException", "ClickException", "UsageError"}
    while more := {node.name for node in classes if any(_name(base) in known for base in node.bases)} - known:
        known |= more
    return sorted(node.name for node in classes if node.name in known)


def _name(base: ast.expr) -> str:
    return base.attr if isinstance(base, ast.Attribute) else ast.unparse(base)


def crowded(trees: Trees) -> tuple[int, Path]:
    """The most modules that one folder holds, and which."""
    counts = Counter(path.parent for path in trees if path.name != "__init__.py")
    folder, most = counts.most_common(1)[0]
    return most, folder


def imports(trees: Trees, root: Path) -> dict[str, set[str]]:
    """For every module of the package the modules that it imports, those for the type checker included."""
    modules = {".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path for path in trees}
    return {module: set(_imported(trees[path], modules.keys())) - {module} for module, path in modules.items()}


def _imported(tree: ast.Module, modules: Iterable[str]) -> Iterator[str]:
    known = set(modules)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if inner in known:
                    yield inner
                elif node.module in known:
                    yield node.module


def circles(imported: Mapping[str, set[str]]) -> list[list[str]]:
    """The groups of modules that import each other in a circle: strongly connected components (Tarjan 1972) of more than one module."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        order[module] = lowest[module] = len(order)
        stack.append(module)
        for other in imported[module]:
            if other not in order:
                visit(other)
                lowest[module] = min(lowest[module], lowest[other])
            elif other in stack:
                lowest[module] = min(lowest[module], order[other])
        if lowest[module] == order[module]:
            group = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(group) > 1:
                found.append(sorted(group))

    for module in imported:
        if module not in order:
            visit(module)
    return found


def main(root: Path) -> None:
    """Print the figures of the checkout at `root`."""
    code, tests = parsed(root / "service"), parsed(root / "tests")
    sizes, long = [lines(path) for path in code], functions(code)
    most, folder = crowded(code)
    together = circles(imports(code, root))
    rows: list[tuple[str, object]] = [
        ("files", len(code)),
        ("lines of code", sum(sizes)),
        ("lines of a file: median / 90 % / most", f"{share(sizes, 0.5)} / {share(sizes, 0.9)} / {max(sizes)}"),
        ("lines of a function: median / 90 % / most", f"{share(long, 0.5)} / {share(long, 0.9)} / {max(long)}"),
        ("modules in the fullest folder", f"{most} ({folder.relative_to(root)})"),
        ("mentions of Any", mentions(code, "Any")),
        ("subscripts by a string literal", string_subscripts(code)),
        ("import circles", len(together)),
        ("exception classes", len(exceptions(code))),
        ("lines of tests for each line of code", f"{sum(map(lines, tests)) / sum(sizes):.2f}"),
    ]
    for what, figure in rows:
        print(f"{what:<44}{figure}")
    for group in together:
        print("circle:", ", ".join(group))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1]).resolve())
