"""The table of the Keras layers that a spec can say: adding one is one converter and one entry here."""

from __future__ import annotations

from service.readers.keras import attention, sequences, units, windows
from service.readers.keras.units import Converter

_DIMENSIONS = ("1D", "2D", "3D")


def _by_dimension(name: str, converter: Converter, dimensions: tuple[str, ...] = _DIMENSIONS) -> dict[str, Converter]:
    return {name.replace("?", dimension): converter for dimension in dimensions}


_AUGMENTATIONS = (
    *("AugMix", "CutMix", "MixUp", "RandAugment", "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter", "RandomContrast"),
    *("RandomElasticTransform", "RandomErasing", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHue", "RandomInvert"),
    *("RandomPerspective", "RandomPosterization", "RandomRotation", "RandomSaturation", "RandomSharpness", "RandomShear"),
    *("RandomTranslation", "RandomZoom"),
)
"""What acts in training alone."""
_UNIT_BY_UNIT = ("ActivityRegularization", "Identity", "Masking", "Normalization", "Rescaling", "Solarization", "Discretization")
_OPERATIONS = {"Relu": "relu", "Relu6": "relu6", "Sigmoid": "sigmoid", "Silu": "silu", "Tanh": "tanh", "Gelu": "gelu", "Exp": "exponential"}
"""Functions of keras.ops that a Functional model has as layers."""
_ARITHMETIC = {"TrueDivide": "multiply", "Divide": "multiply", "Power": "multiply"}
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
    **_by_dimension("AdaptiveMaxPooling?", windows.adaptive_pool("max")),
    **_by_dimension("AdaptiveAveragePooling?", windows.adaptive_pool("avg")),
    **dict.fromkeys((*_AUGMENTATIONS, *_UNIT_BY_UNIT), units.same("activation", function="linear")),
    **{name: units.same("activation", function=function) for name, function in _OPERATIONS.items()},
    **{name: units.join(kind) for name, kind in _ARITHMETIC.items()},
    "ThresholdedReLU": units.same("activation", function="relu"),
    "RMSNormalization": units.root_mean_square_norm,
    "ReversibleEmbedding": units.embedding,
    "SpectralNormalization": units.wrapper,
    "Wrapper": units.wrapper,
    "Pipeline": units.pipeline,
    "Transpose": units.transpose,
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
