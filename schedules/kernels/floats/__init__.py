"""Float layers: convolutions, images as planes, Winograd's filtering. Imports only kernels."""
