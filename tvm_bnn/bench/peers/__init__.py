"""What others make of the same layer or network; one file each, and the list of them in ``catalog``."""
