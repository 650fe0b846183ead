"""``tune log``: list, merge and clean logs. Imports durations alone."""
