"""Compact models, one or more for every family of public binarized networks: what the importer has to understand.

Each is structurally complete and narrow, is written from its paper, and spells its binarization as that family's code
does; the variety of spellings is the point. `catalog.FAMILIES` lists them.
"""
