"""Keras's `model.to_json()` (Keras 1 to 3) and TensorFlow.js layers-models to a layer spec. Keras itself is not needed."""
