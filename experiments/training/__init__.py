"""Training: an ordinary loop, the same for every network, that a kill interrupts and does not spoil."""
