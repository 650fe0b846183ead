"""What passes ask of a graph: values that tensors take, layers and why they are binary or not. It changes nothing."""
