"""Signs as bits: the convention, packing, popcount convolutions and products, and what borders take.

Imports only kernels.
"""
