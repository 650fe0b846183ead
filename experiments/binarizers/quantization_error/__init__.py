"""Methods that bring the binary closer to the real: scales, bases, rotations, the loss itself.

Imports parts and plain.
"""
