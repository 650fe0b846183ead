"""Targets, the bit convention, and the kernels with their schedules: everything below the graph."""
