"""What all commands share: how they are found and end, where they print, how numbers read.

Imports schedules.errors alone.
"""
