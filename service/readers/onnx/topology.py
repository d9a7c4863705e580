"""The order in which the nodes of one graph are lowered: every node after those whose results it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from onnx import AttributeProto, GraphProto, NodeProto

from service.faults import Detail, Refused


def subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    """The bodies that a node carries in its attributes."""
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield attribute.g
        elif attribute.type == AttributeProto.GRAPHS:
            yield from attribute.graphs


def reads(node: NodeProto) -> list[str]:
    """The names that a node reads, those that its subgraphs take from outside included."""
    names = [name for name in node.input if name]
    for graph in subgraphs(node):
        names.extend(_captured(graph))
    return names


def _captured(graph: GraphProto) -> list[str]:
    own = {value.name for value in graph.input} | {t.name for t in graph.initializer} | {t.values.name for t in graph.sparse_initializer}
    for node in graph.node:
        own.update(node.output)
    names = [name for node in graph.node for name in reads(node)]
    names.extend(value.name for value in graph.output)
    return [name for name in names if name not in own]


def ordered(nodes: Sequence[NodeProto], defined: set[str], outside: Callable[[str], bool]) -> list[tuple[int, NodeProto]]:
    """The nodes with their positions in the file, in topological order: the file's own order where that is one.

    `defined` are the names that the graph itself has before its first node, `outside` says whether an enclosing graph has a name.
    Refused `duplicate-output`, `undefined-input` or `graph-cycle` where there is no order.
    """
    producers: dict[str, int] = {}
    for index, node in enumerate(nodes):
        for name in node.output:
            if not name:
                continue
            if name in producers or name in defined:
                _refuse("duplicate-output", f"{name!r} is produced twice", node)
            producers[name] = index
    needed = [reads(node) for node in nodes]
    for index, node in enumerate(nodes):
        for name in needed[index]:
            if name not in defined and name not in producers and not outside(name):
                _refuse("undefined-input", f"no node, input or initializer produces {name!r}", node)
    if all(producers.get(name, -1) < index for index, names in enumerate(needed) for name in names):
        return list(enumerate(nodes))
    return _sorted(nodes, needed, producers)


def _sorted(nodes: Sequence[NodeProto], needed: Sequence[list[str]], producers: dict[str, int]) -> list[tuple[int, NodeProto]]:
    """Kahn's algorithm; of the nodes that are ready, the first in the file comes first as far as it was ready first."""
    readers: list[list[int]] = [[] for _ in nodes]
    waiting = [0] * len(nodes)
    for index, names in enumerate(needed):
        for producer in {producers[name] for name in names if name in producers}:
            readers[producer].append(index)
            waiting[index] += 1
    ready = [index for index, count in enumerate(waiting) if not count]
    for index in ready:  # grows while it is walked
        for reader in readers[index]:
            waiting[reader] -= 1
            if not waiting[reader]:
                ready.append(reader)
    if len(ready) < len(nodes):
        stuck = next(index for index, count in enumerate(waiting) if count)
        _refuse("graph-cycle", "its input depends on its own output", nodes[stuck])
    return [(index, nodes[index]) for index in ready]


def _refuse(code: str, detail: str, node: NodeProto) -> None:
    label = node.name or (node.output[0] if node.output else node.op_type)
    message = f"node {label!r}: {detail}"
    raise Refused("invalid", code, message, [Detail(label, message, code)])
