"""The table of the Keras layers that a spec can say: adding one is one converter and one entry here."""

from __future__ import annotations

from service.readers.keras import attention, sequences, units, windows
from service.readers.keras.units import Converter

_DIMENSIONS = ("1D", "2D", "3D")


def _by_dimension(name: str, converter: Converter, dimensions: tuple[str, ...] = _DIMENSIONS) -> dict[str, Converter]:
    return {name.replace("?", dimension): converter for dimension in dimensions}


_IDENTITIES = (
    *("Masking", "Rescaling", "Normalization", "ActivityRegularization"),
    *("RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomContrast", "RandomBrightness"),
)
_DROPOUTS = (
    *("Dropout", "StochasticDepth", "AlphaDropout", "GaussianDropout", "GaussianNoise"),
    *("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
)

CONVERTERS: dict[str, Converter] = {
    **_by_dimension("Conv?", windows.conv),
    **_by_dimension("Convolution?", windows.conv),
    **_by_dimension("DepthwiseConv?", windows.depthwise_conv, ("1D", "2D")),
    **_by_dimension("SeparableConv?", windows.separable_conv, ("1D", "2D")),
    **_by_dimension("Conv?Transpose", windows.conv_transpose),
    **_by_dimension("LocallyConnected?", windows.local, ("1D", "2D")),
    **_by_dimension("MaxPooling?", windows.pool("max")),
    **_by_dimension("AveragePooling?", windows.pool("avg")),
    **_by_dimension("GlobalMaxPooling?", windows.global_pool("max")),
    **_by_dimension("GlobalAveragePooling?", windows.global_pool("avg")),
    **_by_dimension("ZeroPadding?", windows.border("pad", "padding")),
    **_by_dimension("Cropping?", windows.border("crop", "cropping")),
    **_by_dimension("UpSampling?", windows.upsampling),
    **dict.fromkeys(_DROPOUTS, units.same("dropout")),
    **dict.fromkeys(_IDENTITIES, units.same("activation", function="linear")),
    "Dense": units.dense,
    "Flatten": units.flatten,
    "Reshape": units.reshape,
    "Permute": units.permute,
    "RepeatVector": units.repeat_vector,
    "Resizing": windows.resizing,
    "Activation": units.activation_layer,
    "ReLU": units.relu,
    "LeakyReLU": units.same("activation", function="leaky_relu"),
    "ELU": units.same("activation", function="elu"),
    "PReLU": units.prelu,
    "LayerScale": units.layer_scale,
    "EinsumDense": units.einsum_dense,
    "Softmax": units.softmax,
    "BatchNormalization": units.batch_norm,
    "SyncBatchNormalization": units.batch_norm,
    "LayerNormalization": units.layer_norm,
    "GroupNormalization": units.group_norm,
    "UnitNormalization": units.unit_norm,
    "Add": units.join("add"),
    "CustomScaleLayer": units.join("add"),
    "Subtract": units.join("subtract"),
    "Multiply": units.join("multiply"),
    "Average": units.join("average"),
    "Maximum": units.join("maximum"),
    "Minimum": units.join("minimum"),
    "Concatenate": units.concatenate,
    "Embedding": units.embedding,
    **sequences.CONVERTERS,
    **attention.CONVERTERS,
}
