"""Families that differ in how they quantize: weights reshaped, offsets, bases, comparisons. Imports building_blocks."""
