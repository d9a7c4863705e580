"""ai.onnx.ml: classical models on feature vectors.

Linear models are dense layers and scalers normalisations; the others are reported as `other`. What they read is stated exactly where it is
simple. Their parameters are numbers in attributes and count as what is stored: thresholds and leaves of trees, support vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from service.graph import Source
from service.graph import operators as core
from service.readers.onnx.call import Call, Rule, transposed_weight
from service.readers.onnx.operators.dense import apply_matrix
from service.readers.onnx.operators.indexing import known_indices, sized_by_data, take
from service.readers.onnx.operators.signal import mixed_to
from service.readers.onnx.values import Constant, Origin, Value

Lower = Callable[[Call], Sequence[Value]]


def by_unit(call: Call) -> Sequence[Value]:
    """Feature by feature."""
    return [call.emit(core.Elementwise(call.op.lower()), call.input(0))]


def _samples(call: Call) -> Value:
    """The features as (samples, features)."""
    data = call.input(0)
    return data if data.rank == 2 else call.reshape(data, (1, data.dims[0]) if data.rank == 1 else data.dims)


def classify(labels: str, strings: str, count: Callable[[Call], None]) -> Lower:
    """A classifier with these attributes for its classes: a label and a score per class, of all features of the sample."""

    def lower(call: Call) -> Sequence[Value]:
        """The label and the scores of every sample."""
        data = _samples(call)
        count(call)
        return _labelled(call, data, mixed_to(call, data, (data.rank - 1,), (*data.dims[:-1], _classes(call, labels, strings))))

    return lower


def _classes(call: Call, labels: str, strings: str) -> int:
    return max(len(call.attributes.texts(strings) or call.attributes.integers(labels) or (0, 1)), 1)


def _labelled(call: Call, data: Value, scores: Value) -> list[Value]:
    """A label beside the scores of the classes."""
    dtype = "string" if call.attributes.texts("classlabels_strings") else "int64"
    return [call.emit(core.Reduction((data.rank - 1,), keepdims=False), scores, dtype=dtype), scores]


def regress(count: Callable[[Call], None]) -> Lower:
    """A regressor: every target of all features of the sample."""

    def lower(call: Call) -> Sequence[Value]:
        """The targets of every sample."""
        data = _samples(call)
        count(call)
        targets = call.attributes.integer("targets") or call.attributes.integer("n_targets", 1)
        return [mixed_to(call, data, (data.rank - 1,), (*data.dims[:-1], targets))]

    return lower


# Parameters that stand in attributes


def stored_numbers(call: Call, name: str, shape: tuple[int, ...] | None = None) -> Value | None:
    """The numbers of an attribute as a stored tensor, called after the layer and the attribute; None where it has none."""
    numbers = call.attributes.reals(name)
    return kept(call, name, np.array(numbers, dtype=np.float32), shape) if numbers else None


def kept(call: Call, name: str, array: NDArray[Any], shape: tuple[int, ...] | None = None) -> Value:
    """An array as a tensor that the attributes of a call store."""
    source = Source(f"{call.name}/{name}", array.size, str(array.dtype))
    values = array.reshape(array.shape if shape is None else shape)
    origin = Origin(source.name, source.count, source.dtype, (source,))
    return Value(source.name, values.shape, source.dtype, Constant(origin, array=values))


def _others(*names: str) -> Callable[[Call], None]:
    """Attributes whose numbers are parameters outside the connections."""

    def count(call: Call) -> None:
        for name in names:
            call.add_other(stored_numbers(call, name))

    return count


def _tree(call: Call) -> None:
    """The thresholds of the inner nodes of trees, and what their leaves add up."""
    modes = call.attributes.texts("nodes_modes") or ()
    values = np.array(call.attributes.reals("nodes_values") or (), dtype=np.float32)
    inner = [value for value, mode in zip(values, modes, strict=False) if mode != "LEAF"] if modes else values
    if len(inner):
        call.add_other(kept(call, "nodes_values", np.array(inner, dtype=np.float32)))
    for name in ("class_weights", "target_weights"):
        call.add_other(stored_numbers(call, name))
    for name in ("nodes_values_as_tensor", "class_weights_as_tensor", "target_weights_as_tensor", "nodes_splits", "leaf_weights"):
        tensor = call.attributes.tensor(name)
        if tensor is not None:
            call.add_other(_named(call, name, tensor))


def _named(call: Call, name: str, tensor: TensorProto) -> Value:
    """A tensor that an attribute stores, under the name of the layer and the attribute."""
    value = call.host.stored(call, tensor)
    assert value.constant is not None
    source = Source(f"{call.name}/{name}", value.constant.origin.count, value.dtype)
    value.constant.origin = Origin(source.name, source.count, source.dtype, (source,))
    return value


def scale(call: Call) -> Sequence[Value]:
    """Scaler: an offset and a scale for every feature, or for all."""
    _others("offset", "scale")(call)
    return [call.emit(core.Elementwise("scaler"), call.input(0), dtype="float32")]


def impute(call: Call) -> Sequence[Value]:
    """Imputer: a value for every feature, or for all, that takes the place of a missing one."""
    _others("imputed_value_floats")(call)
    return by_unit(call)


# Linear models


def _linear(call: Call, data: Value, matrix: Value, intercepts: str) -> Value:
    """A dense layer: `matrix` is (units, features)."""
    call.kind = "dense"
    bias = stored_numbers(call, intercepts)
    if bias is not None:
        call.bias.append(call.weight(bias))
    return apply_matrix(call, data, transposed_weight(call.weight(matrix), (1, 0)))


def _coefficients(call: Call, features: int) -> Value:
    """The attribute `coefficients` as (units, features)."""
    count = len(call.attributes.reals("coefficients") or ())
    if not count or count % max(features, 1):
        call.misfit("matrix-mismatch", f"{count} coefficients do not fit {features} features")
    found = stored_numbers(call, "coefficients", (count // features, features))
    assert found is not None
    return found


def _scores(call: Call, units: Value, classes: int) -> Value:
    """One score for each class: of two classes, one unit may decide; pairs of classes vote."""
    if units.dims[-1] == classes:
        return units
    return mixed_to(call, units, (units.rank - 1,), (*units.dims[:-1], classes))


def linear_classifier(call: Call) -> Sequence[Value]:
    """LinearClassifier."""
    data = _samples(call)
    units = _linear(call, data, _coefficients(call, data.dims[-1]), "intercepts")
    return _labelled(call, data, _scores(call, units, _classes(call, "classlabels_ints", "classlabels_strings")))


def linear_regressor(call: Call) -> Sequence[Value]:
    """LinearRegressor."""
    data = _samples(call)
    return [_linear(call, data, _coefficients(call, data.dims[-1]), "intercepts")]


_VECTORS = _others("support_vectors", "coefficients", "rho")


def _is_linear(call: Call) -> bool:
    return call.attributes.text("kernel_type", "LINEAR") == "LINEAR"


def vector_classifier(call: Call) -> Sequence[Value]:
    """SVMClassifier: with a linear kernel a dense layer, whether its coefficients or its support vectors are stored."""
    names = ("classlabels_ints", "classlabels_strings")
    if not _is_linear(call):
        return classify(*names, _VECTORS)(call)
    data = _samples(call)
    matrix = _separating(call, data.dims[-1]) if call.attributes.reals("support_vectors") else _coefficients(call, data.dims[-1])
    return _labelled(call, data, _scores(call, _linear(call, data, matrix, "rho"), _classes(call, *names)))


def vector_regressor(call: Call) -> Sequence[Value]:
    """SVMRegressor: likewise."""
    if not _is_linear(call):
        return regress(_VECTORS)(call)
    data = _samples(call)
    matrix = _separating(call, data.dims[-1]) if call.attributes.reals("support_vectors") else _coefficients(call, data.dims[-1])
    return [_linear(call, data, matrix, "rho")]


def _separating(call: Call, features: int) -> Value:
    """The planes of a linear machine: Σ coefficient·vector, for a regressor or for every pair of classes (in LIBSVM's order).

    The coefficients of a vector of class i against class j stand in row j - 1 where i < j, in row j where i > j.
    """
    vectors = np.array(call.attributes.reals("support_vectors"), dtype=np.float32)
    factors = np.array(call.attributes.reals("coefficients") or (), dtype=np.float32)
    counts = call.attributes.integers("vectors_per_class") or (vectors.size // max(features, 1),)
    if not features or vectors.size != sum(counts) * features or factors.size != sum(counts) * max(len(counts) - 1, 1):
        call.misfit("matrix-mismatch", f"{vectors.size} numbers of support vectors do not fit {features} features in {counts}")
    rows, factors = vectors.reshape(-1, features), factors.reshape(-1, sum(counts))
    ends = np.cumsum((0, *counts))
    parts = [slice(start, end) for start, end in pairwise(ends.tolist())]
    if len(parts) == 1:
        planes = [factors[0] @ rows]
    else:
        planes = [
            factors[j - 1, parts[i]] @ rows[parts[i]] + factors[i, parts[j]] @ rows[parts[j]] for i, j in combinations(range(len(parts)), 2)
        ]
    matrix = np.array(planes, dtype=np.float32)
    sources = tuple(
        Source(f"{call.name}/{name}", n, "float32") for name, n in (("support_vectors", rows.size), ("coefficients", factors.size))
    )
    return Value("", matrix.shape, "float32", Constant(Origin(f"{call.name}/planes", matrix.size, "float32", sources), array=matrix))


def normalise(call: Call) -> Sequence[Value]:
    """Normalizer: over the features of a sample."""
    data = call.input(0)
    return [call.emit(core.Mixing((data.rank - 1,), "normalizer"), data)]


def one_hot(call: Call) -> Sequence[Value]:
    """OneHotEncoder: a new last axis."""
    data = call.input(0)
    classes = len(call.attributes.integers("cats_int64s") or call.attributes.texts("cats_strings") or ())
    return [call.emit(core.Expanding((*data.dims, classes)), call.reshape(data, (*data.dims, 1)), dtype="float32")]


def extract(call: Call) -> Sequence[Value]:
    """ArrayFeatureExtractor: features at constant indices."""
    data, indices = call.input(0), known_indices(call, 1)
    data = call.reshape(data, (1, *data.dims)) if data.rank == 1 else data
    if indices is None:
        count = int(np.prod(call.input(1).dims, dtype=np.int64))
        return call.data_dependent([(*data.dims[:-1], count)], "which features are read depends on the data", data, call.input(1))
    return [take(call, data, data.rank - 1, indices)]


def join_features(call: Call) -> Sequence[Value]:
    """FeatureVectorizer: the features of all inputs beside each other."""
    parts = [v if v.rank == 2 else call.reshape(v, (1, *v.dims)) for v in call.inputs if v is not None]
    return [call.emit(core.Concatenation(1), *parts, dtype="float32")]


_MAPS = "the result is a map, or as long as one"

RULES = {
    **{name: Rule(by_unit) for name in ("Binarizer", "CategoryMapper", "LabelEncoder")},
    "Imputer": Rule(impute),
    "Scaler": Rule(scale, "normalization"),
    "LinearClassifier": Rule(linear_classifier, "dense"),
    "LinearRegressor": Rule(linear_regressor, "dense"),
    "SVMClassifier": Rule(vector_classifier),
    "SVMRegressor": Rule(vector_regressor),
    "TreeEnsembleClassifier": Rule(classify("classlabels_int64s", "classlabels_strings", _tree)),
    "TreeEnsembleRegressor": Rule(regress(_tree)),
    "TreeEnsemble": Rule(regress(_tree)),
    "Normalizer": Rule(normalise, "normalization"),
    "OneHotEncoder": Rule(one_hot),
    "ArrayFeatureExtractor": Rule(extract),
    "FeatureVectorizer": Rule(join_features),
    **{name: Rule(sized_by_data(_MAPS), bound=_MAPS) for name in ("CastMap", "DictVectorizer", "ZipMap")},
}
