"""Whole networks to measure, one file each, with random weights: ``catalog`` lists them.

Every network comes twice from the same code: binary, and as its float twin, the same layers without binarization.
"""
