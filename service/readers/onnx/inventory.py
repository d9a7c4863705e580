"""Every tensor that a model stores, in the main graph, subgraphs and functions. Each has one name in all readings of the model."""

from __future__ import annotations

from collections.abc import Iterator

from onnx import FunctionProto, GraphProto, ModelProto, SparseTensorProto, TensorProto

from service.graph import Source, Weight
from service.limits import MAX_RANK, MAX_UNITS
from service.readers.naming import Names
from service.readers.onnx.topology import subgraphs
from service.readers.onnx.values import Constant, ModelWeight, Origin
from service.readers.tensors.stored import Storage, StoredTensor

AnyTensor = TensorProto | SparseTensorProto


class Inventory:
    """The stored tensors of a model. A tensor that is read several times, as in a function that is called twice, is one."""

    def __init__(self, model: ModelProto, storage: Storage) -> None:
        self._storage = storage
        names = Names()
        # The protos are kept so that each stays the same Python object, whose id is the key.
        self._found: dict[int, tuple[AnyTensor, StoredTensor]] = {}
        stored: list[Weight] = []
        for name, tensor, constant in _tensors(model):
            entry = self._read(tensor, names.fresh(name))
            self._found[id(tensor)] = tensor, entry
            if not constant or entry.count > 1:
                stored.append(self.weight(entry))
        self.stored = tuple(stored)

    def tensor(self, proto: AnyTensor, name: str) -> StoredTensor:
        """The stored tensor that a proto of the model describes; one that is no part of it (a copied attribute) is called `name`."""
        found = self._found.get(id(proto))
        return found[1] if found is not None else self._read(proto, name)

    def weight(self, stored: StoredTensor) -> ModelWeight:
        """A stored tensor as a weight in its own layout."""
        return ModelWeight(stored.name, stored.dims, stored.count, stored.dtype, None, constant_of(stored))

    def _read(self, tensor: AnyTensor, name: str) -> StoredTensor:
        return self._storage.sparse(tensor, name) if isinstance(tensor, SparseTensorProto) else self._storage.tensor(tensor, name)


def constant_of(stored: StoredTensor) -> Constant:
    """A stored tensor as a constant."""
    source = Source(stored.name, stored.count, stored.dtype)
    return Constant(Origin(stored.name, stored.count, stored.dtype, (source,)), stored)


def too_large(stored: StoredTensor) -> bool:
    """Whether a tensor has more axes or units than can be followed."""
    return stored.count > MAX_UNITS or len(stored.dims) > MAX_RANK


def _tensors(model: ModelProto) -> Iterator[tuple[str, AnyTensor, bool]]:
    """Name, tensor, and whether it is a Constant node, the main graph's first."""
    pending: list[GraphProto | FunctionProto] = [*reversed(model.functions), model.graph]
    while pending:
        graph = pending.pop()
        if isinstance(graph, GraphProto):
            yield from ((dense.name, dense, False) for dense in graph.initializer)
            yield from ((sparse.values.name, sparse, False) for sparse in graph.sparse_initializer)
        for node in graph.node:
            if node.op_type == "Constant":
                for attribute in node.attribute:
                    if attribute.HasField("t"):
                        yield node.output[0] if node.output else "", attribute.t, True
                    if attribute.HasField("sparse_tensor"):
                        yield node.output[0] if node.output else "", attribute.sparse_tensor, True
            else:
                pending.extend(subgraphs(node))
