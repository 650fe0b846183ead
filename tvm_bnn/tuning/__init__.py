"""Search for the fastest schedule of every layer, and keep what was found."""
