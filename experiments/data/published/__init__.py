"""Data sets as their publishers lay them out, read from a folder. Imports reading and dataset."""
