"""Relax passes from a float graph to scheduled binary kernels.

The folder keeps the name of Relay, the intermediate representation that TVM had before Relax and dropped after 0.19.
"""
