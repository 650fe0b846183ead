"""Who times candidates: this machine, a board, or an estimate; and how they are built. Imports tasks."""
