"""What users bring, read: PyTorch programs, modules and ONNX files become float Relax, each beside a reference that runs them."""
