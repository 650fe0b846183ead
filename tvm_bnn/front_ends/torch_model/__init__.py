"""PyTorch's models: files, modules and factories, exported, made importable, and run as the reference."""
