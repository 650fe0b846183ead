"""Measurements on devices: samples, conditions, records and the tables of them. Imports sessions and below."""
