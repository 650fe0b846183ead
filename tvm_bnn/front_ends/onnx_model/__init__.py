"""ONNX's models: read, simplified, imported, and run by ONNX Runtime as the reference."""
