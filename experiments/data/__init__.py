"""Data sets: the real formats of BiBench's nine, read from a folder, and a generated default for each modality."""
