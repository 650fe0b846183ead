"""BiBench and the training scripts of the networks that this project ships."""
