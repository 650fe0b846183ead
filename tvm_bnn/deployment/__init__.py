"""A compiled model for programs without Python: a sealed library, a small C runtime and an example in one folder."""
