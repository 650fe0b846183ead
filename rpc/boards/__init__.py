"""Boards, real and emulated: their servers, runtime libraries, images, and QEMU. Imports tracking and below."""
