"""Whether what was compiled answers as the reference does, and how fast: run, compare, explain.

Imports deployment and below.
"""
