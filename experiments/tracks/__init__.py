"""BiBench's six tracks: each lists its cells, computes one, and puts many together."""
