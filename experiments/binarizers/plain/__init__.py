"""Methods that take signs as they are, and no binarization at all. Imports parts."""
