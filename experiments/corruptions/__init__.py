"""The corruptions of CIFAR10-C, made of any images: kinds × severities 1 to 5, the same for the same seed."""
