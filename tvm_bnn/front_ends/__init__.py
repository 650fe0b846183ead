"""What users bring, read: PyTorch programs and modules become float Relax, each beside a reference that runs them."""
