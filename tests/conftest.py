"""Settings for every test, made before PyTorch is imported."""

import os

# Test processes share the cores; PyTorch's own threads would wait for each other most of the time.
os.environ.setdefault("OMP_NUM_THREADS", "1")
