"""Last phase: a layer with its epilogue and packing becomes one TIR function, and gets its schedule.

Imports earlier phases.
"""
