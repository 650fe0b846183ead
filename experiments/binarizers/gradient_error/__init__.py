"""Methods that bring gradients closer to those of a sign: estimators, and weights that still flip.

Imports the rooms below.
"""
