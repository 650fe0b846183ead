"""Running a grid of cells: here, one after the other, or on the workers of a Dask cluster."""
