"""The product of architectures and binarizers, each compiled and compared with PyTorch."""
