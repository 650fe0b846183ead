"""A compiled model's kernel calls, timed one by one, and which peak bounds each. Imports reporting and backend."""
