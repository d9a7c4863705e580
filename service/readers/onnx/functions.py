"""Model-local functions: how large the model becomes when they are expanded, found before anything is expanded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from onnx import FunctionProto, ModelProto, NodeProto

from service.faults import Detail, Fault, Refused
from service.limits import MAX_CALL_DEPTH
from service.readers.onnx.topology import subgraphs

Key = tuple[str, str, str]
"""Domain, name and overload of a function."""


def domain_of(domain: str) -> str:
    """The domain of standard operators has two names."""
    return "" if domain == "ai.onnx" else domain


def key_of(node: NodeProto) -> Key:
    """The function that a node would call."""
    return domain_of(node.domain), node.op_type, node.overload


def local_functions(model: ModelProto, most_nodes: int) -> Mapping[Key, FunctionProto]:
    """The functions of a model by key.

    Refused `duplicate-function`; `function-recursion` where one calls itself, also by way of others and of subgraphs;
    `too-many-nodes` where the expanded model would have more than `most_nodes`, `too-deep` where calls nest too deeply.
    """
    functions: dict[Key, FunctionProto] = {}
    for function in model.functions:
        key = domain_of(function.domain), function.name, function.overload
        if key in functions:
            _refuse("invalid", "duplicate-function", f"the function {key[1]!r} is defined twice", key)
        functions[key] = function
    if functions:
        _check_expansion(model, functions, most_nodes)
    return functions


def _all_nodes(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """The nodes and those of their subgraphs. Protobuf itself bounds how deeply these nest."""
    for node in nodes:
        yield node
        for graph in subgraphs(node):
            yield from _all_nodes(graph.node)


def _check_expansion(model: ModelProto, functions: Mapping[Key, FunctionProto], most_nodes: int) -> None:
    """Sizes and depths of the expanded functions by depth-first search with a stack of its own."""
    called = {key: Counter(k for k in map(key_of, _all_nodes(f.node)) if k in functions) for key, f in functions.items()}
    own = {key: sum(1 for _ in _all_nodes(f.node)) for key, f in functions.items()}
    size: dict[Key, int] = {}
    depth: dict[Key, int] = {}
    for root in functions:
        stack = [] if root in size else [(root, iter(called[root]))]
        open_calls = {root}
        while stack:
            key, callees = stack[-1]
            callee = next((k for k in callees if k not in size), None)
            if callee is None:
                size[key] = own[key] + sum(size[k] * times for k, times in called[key].items())
                depth[key] = 1 + max((depth[k] for k in called[key]), default=0)
                _check_bounds(key, size[key], depth[key], most_nodes)
                open_calls.discard(key)
                stack.pop()
                continue
            if callee in open_calls:
                _refuse("invalid", "function-recursion", f"the function {callee[1]!r} calls itself", callee)
            open_calls.add(callee)
            stack.append((callee, iter(called[callee])))
    total = sum(size.get(key_of(node), 1) for node in _all_nodes(model.graph.node))
    if total > most_nodes:
        raise Refused("limit", "too-many-nodes", f"the model expands to {total} nodes, {most_nodes} are allowed")


def _check_bounds(key: Key, size: int, depth: int, most_nodes: int) -> None:
    if size > most_nodes:
        _refuse("limit", "too-many-nodes", f"the function {key[1]!r} expands to {size} nodes, {most_nodes} are allowed", key)
    if depth > MAX_CALL_DEPTH:
        _refuse("limit", "too-deep", f"the calls of the function {key[1]!r} nest more than {MAX_CALL_DEPTH} deep", key)


def _refuse(fault: Fault, code: str, message: str, key: Key) -> None:
    raise Refused(fault, code, message, [Detail(key[1], message, code)])
