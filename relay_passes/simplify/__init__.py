"""First phase: float graph to channels-last float graph, in which layers can be examined.

Imports analysis and below.
"""
