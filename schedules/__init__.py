"""Machines, kernels and their schedules: from what a target is to scheduled TIR for it.

It imports nothing else of ours.
"""
