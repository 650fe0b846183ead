"""The commands of ``python -m experiments``, one file each; options are read before anything slow is imported."""
