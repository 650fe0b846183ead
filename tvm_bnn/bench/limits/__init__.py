"""What a machine can do at most: peaks and bandwidth from C loops, cycle models, ideal loops. Imports records."""
