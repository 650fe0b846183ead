"""What users bring, read: PyTorch programs and ONNX files become float Relax, each beside a reference that runs it."""
