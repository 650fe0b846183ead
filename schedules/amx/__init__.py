"""Counting in tiles of bytes (AMX): layout, cost, kernels and their schedule. Imports templates and below."""
