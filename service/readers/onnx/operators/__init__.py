"""The rules of ONNX operators: each lowers one operator to core operators."""
