"""Keras's `model.to_json()` (Keras 1 to 3) and TensorFlow.js layers-models to a layer spec. Keras itself is not needed."""

from service.readers.keras.documents import keras_document, read_twice
from service.readers.keras.model import Converted, convert

__all__ = ["Converted", "convert", "keras_document", "read_twice"]
