"""The page docs/operators.md: how every operator is followed. `python -m service.readers.onnx.catalogue` writes it to its output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import onnx

from service.readers.onnx.call import Rule
from service.readers.onnx.rules import RULES
from service.readers.onnx.values import Keeps

_HEAD = """# Operators

How Receptive follows each operator of ONNX, in every opset that onnx {version} knows (ai.onnx up to {opset}), and the operators of
other domains that it has a rule for. This page is generated; a test holds it to the schema registry of the installed onnx.

* **exact**: the operator becomes core operators that read exactly the units that it reads.
* **bound**: which units it reads, or how many results it has, depends on the data. Its results are marked `bound`, or `unknown` where
  not even their shape is known, and so is what follows.
* **follows values**: control flow, sequences and optionals move whole values. Their elements and bodies are followed; a loop whose
  number of rounds depends on the data shows one round and is a bound.

The last column says what the result of an operator over constants has of the stored scalars, and whether it is computed: weights that are
sliced, turned, scaled or combined before a layer reads them are counted as what is stored.

* **same**: those of its first input, in their order or moved, retyped or repeated; **part**: some of those of its first input.
* **scaled**: those of the one input of the result's shape; **mixed**: scalars of its own, made of all inputs of its type.
* **nothing**: it gives nothing that is stored.

Any exact operator becomes a bound where its parameters (axes, shapes, indices) are computed from data. An operator that is not listed
is reported as `unknown-operator`; analysis goes on, and everything behind it is `unknown`.
"""

_KEPT: Mapping[Keeps, str] = {
    "order": "same",
    "scalars": "same",
    "part": "part",
    "scaled": "scaled",
    "mixed": "mixed",
    "nothing": "nothing",
}

_TITLES = {
    "": "ai.onnx",
    "ai.onnx.ml": "ai.onnx.ml (classical models on feature vectors)",
    "com.microsoft": "com.microsoft (the fused and quantised operators of ONNX Runtime)",
}


def schema_versions() -> dict[tuple[str, str], list[int]]:
    """Domain and name of every operator of the installed onnx, deprecated ones included, with the opsets in which it changed."""
    versions: dict[tuple[str, str], list[int]] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        versions.setdefault((schema.domain, schema.name), []).append(schema.since_version)
    return {key: sorted(found) for key, found in sorted(versions.items())}


def status(rule: Rule) -> str:
    """How a rule follows its operator, in the words of the page."""
    if rule.bound:
        return f"bound: {rule.bound}"
    return "follows values" if rule.structural else "exact"


def constants(rule: Rule) -> str:
    """What becomes of an operator all of whose inputs are constants, in the words of the page."""
    if rule.structural:
        return ""
    return f"{_KEPT[rule.keeps]}, {'computed' if rule.fold else 'values not known'}"


def _table(rules: Mapping[str, Rule], versions: Mapping[str, list[int]]) -> Iterator[str]:
    yield "| operator | opsets | kind | status | of constants |"
    yield "|---|---|---|---|---|"
    for name, rule in sorted(rules.items(), key=lambda item: item[0].lower()):
        opsets = ", ".join(map(str, versions[name])) if name in versions else "not in the standard" if versions else "1"
        yield f"| {name} | {opsets} | {rule.kind} | {status(rule)} | {constants(rule)} |"


def page() -> str:
    """The text of docs/operators.md."""
    versions = schema_versions()
    lines = [_HEAD.format(version=_minor(onnx.__version__), opset=onnx.defs.onnx_opset_version())]
    for domain, rules in RULES.items():
        known = {name: found for (d, name), found in versions.items() if d == domain}
        exact = sum(not rule.bound for rule in rules.values())
        lines.append(f"## {_TITLES.get(domain, domain)}\n\n{len(rules)} operators, {exact} of them without a bound.\n")
        lines.extend(_table(rules, known))
        lines.append("")
    return "\n".join(lines)


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


if __name__ == "__main__":
    print(page(), end="")
