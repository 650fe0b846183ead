"""A search from start to end: trials, budget, database, verdicts. Imports runners and tasks."""
