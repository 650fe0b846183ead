"""The architectures of the benchmark: one file a family, each with a table of its own, and the catalog of all."""
