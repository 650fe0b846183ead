"""What crosses borders between programs: facts of boards and artifacts, tensors in files.

Imports nothing of this package.
"""
