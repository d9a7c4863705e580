"""ai.onnx.ml: classical models on feature vectors. They are reported as `other`; what they read is stated exactly where it is simple."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from service.graph import operators as core
from service.readers.onnx.call import Call, Rule
from service.readers.onnx.operators.indexing import known_indices, sized_by_data, take
from service.readers.onnx.operators.signal import mixed_to
from service.readers.onnx.values import Value


def by_unit(call: Call) -> Sequence[Value]:
    """Feature by feature."""
    return [call.emit(core.Elementwise(call.op.lower()), call.input(0))]


def _samples(call: Call) -> Value:
    """The features as (samples, features)."""
    data = call.input(0)
    return data if data.rank == 2 else call.reshape(data, (1, data.dims[0]) if data.rank == 1 else data.dims)


def classify(labels: str, strings: str) -> Callable[[Call], Sequence[Value]]:
    """A classifier with these attributes for its classes: a label and a score per class, of all features of the sample."""

    def lower(call: Call) -> Sequence[Value]:
        """The label and the scores of every sample."""
        data = _samples(call)
        texts = call.attributes.texts(strings)
        classes = len(texts or call.attributes.integers(labels) or (0, 1))
        label = call.emit(core.Reduction((data.rank - 1,), keepdims=False), data, dtype="string" if texts else "int64")
        return [label, mixed_to(call, data, (data.rank - 1,), (*data.dims[:-1], max(classes, 1)))]

    return lower


def regress(call: Call) -> Sequence[Value]:
    """A regressor: every target of all features of the sample."""
    data = _samples(call)
    targets = call.attributes.integer("targets") or call.attributes.integer("n_targets", 1)
    return [mixed_to(call, data, (data.rank - 1,), (*data.dims[:-1], targets))]


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
    **{name: Rule(by_unit) for name in ("Binarizer", "CategoryMapper", "Imputer", "LabelEncoder", "Scaler")},
    "TreeEnsembleClassifier": Rule(classify("classlabels_int64s", "classlabels_strings")),
    "LinearClassifier": Rule(classify("classlabels_ints", "classlabels_strings")),
    "SVMClassifier": Rule(classify("classlabels_ints", "classlabels_strings")),
    **{name: Rule(regress) for name in ("LinearRegressor", "SVMRegressor", "TreeEnsemble", "TreeEnsembleRegressor")},
    "Normalizer": Rule(normalise),
    "OneHotEncoder": Rule(one_hot),
    "ArrayFeatureExtractor": Rule(extract),
    "FeatureVectorizer": Rule(join_features),
    **{name: Rule(sized_by_data(_MAPS), bound=_MAPS) for name in ("CastMap", "DictVectorizer", "ZipMap")},
}
