"""Keras 1 (2015 to 2017): its names of layers and fields, as those of Keras 2."""

from __future__ import annotations

from collections.abc import Mapping

Config = Mapping[str, object]

LAYERS = {
    **{f"AtrousConvolution{n}D": f"Conv{n}D" for n in (1, 2)},
    "Deconvolution2D": "Conv2DTranspose",
    "Deconvolution3D": "Conv3DTranspose",
    "SeparableConvolution2D": "SeparableConv2D",
    "TimeDistributedDense": "Dense",
}
"""Classes that have another name since Keras 2 (Convolution1D and its kin are still aliases there)."""

_MERGES = {
    "sum": "Add",
    "mul": "Multiply",
    "ave": "Average",
    "max": "Maximum",
    "concat": "Concatenate",
    "dot": "Dot",
    "cos": "Dot",
}
_FIELDS = {
    "nb_filter": "filters",
    "filter_length": "kernel_size",
    "border_mode": "padding",
    "subsample": "strides",
    "subsample_length": "strides",
    "atrous_rate": "dilation_rate",
    "bias": "use_bias",
    "pool_length": "pool_size",
    "stride": "strides",
    "inner_activation": "recurrent_activation",
    "concat_axis": "axis",
    "dot_axes": "axes",
}
_ONLY_OLD = ("dim_ordering", "nb_row", "kernel_dim1", "init", "output_dim", "W_regularizer", "length")
_EDGES = (("nb_row", "nb_col"), ("kernel_dim1", "kernel_dim2", "kernel_dim3"))


def modern(kind: str, config: Config) -> tuple[str, Config]:
    """Class and configuration of a layer under the names of Keras 2; those that have them already stay as they are."""
    if kind == "Merge":
        mode = config.get("mode")
        return _MERGES.get(mode, kind) if isinstance(mode, str) else kind, {**_renamed(config), "normalize": mode == "cos"}
    if not _is_old(config):
        return LAYERS.get(kind, kind), config
    kind, result = LAYERS.get(kind, kind), _renamed(config)
    for edges in _EDGES:
        if edges[0] in config:
            result["kernel_size"] = [config.get(edge) for edge in edges]
    if "output_dim" in config and kind != "Embedding":
        result["units"] = config["output_dim"]
    if kind == "UpSampling1D" and "length" in config:
        result["size"] = config["length"]
    return kind, result


def _is_old(config: Config) -> bool:
    """Whether a configuration has a field that only Keras 1 writes."""
    return any(
        name in config for name in (*_FIELDS, "dim_ordering", "nb_row", "kernel_dim1", "init", "output_dim", "W_regularizer", "length")
    )


def _renamed(config: Config) -> dict[str, object]:
    result = {_FIELDS.get(name, name): value for name, value in config.items()}
    order = config.get("dim_ordering")
    if order in ("th", "tf"):
        result["data_format"] = "channels_first" if order == "th" else "channels_last"
    return result


def says_channels_first(config: Config) -> bool:
    """Whether a layer of any version has its channels first."""
    return config.get("data_format") == "channels_first" or config.get("dim_ordering") == "th"
