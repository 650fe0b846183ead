"""What methods are made of: layers, estimators, scales, the shape of a layer. Imports nothing of the other rooms."""
