"""Files of PyTorch's: whether a ``.pt2`` could run code, and checkpoints. Imports nothing of the other rooms."""
