"""com.microsoft: what ONNX Runtime's optimiser, quantiser and converters write into files."""
