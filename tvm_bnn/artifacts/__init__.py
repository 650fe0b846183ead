"""The artifact as a file, and the model that is loaded from it. Imports nothing above; no PyTorch."""
