"""The user's module itself, run as it is: what export makes of it is held against it, and the scalars that it reads.

Imports nothing of the other rooms.
"""
