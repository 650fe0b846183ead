"""``tune compare`` and ``tune rank``: default against chosen schedules, estimates against times.

Imports searching and below.
"""
