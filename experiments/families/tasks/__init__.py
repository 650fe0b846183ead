"""Families for boxes, clouds, text, sounds and mattes. Imports building_blocks."""
