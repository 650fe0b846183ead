"""What is measured: micro-benchmarks, layers, estimates of layers, networks. Imports limits, peers and networks."""
