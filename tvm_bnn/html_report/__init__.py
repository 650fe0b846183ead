"""A compilation's report and benchmark results as one HTML page that needs nothing else."""
