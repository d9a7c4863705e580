"""Keras's `model.to_json()` (Keras 2 and 3) to a layer spec. Keras itself is not needed."""

from service.readers.keras.model import Converted, convert, is_keras

__all__ = ["Converted", "convert", "is_keras"]
