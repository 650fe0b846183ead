"""Shapes that hurt, few bits, and look-alikes that must stay float. Imports building_blocks."""
