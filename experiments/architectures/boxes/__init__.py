"""Detectors, and the anchors that they share. Imports pictures."""
