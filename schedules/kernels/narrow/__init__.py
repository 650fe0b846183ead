"""Float layers on narrower numbers: int8 and bfloat16, and the runs that both read.

Imports only kernels and machines.
"""
