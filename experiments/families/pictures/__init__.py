"""Families of networks that classify pictures. Imports building_blocks."""
