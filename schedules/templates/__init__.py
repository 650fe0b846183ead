"""How kernels are scheduled: register tiles, rows, loops, pooled layers, and the knobs of each.

Imports kernels and below.
"""
