"""What kernels compute, as unscheduled TIR and in NumPy, and the table of all their variants. Imports machines."""
