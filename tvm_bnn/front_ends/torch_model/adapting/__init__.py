"""Exported programs for another batch or precision, traced again. Imports nothing of the other rooms."""
