"""Networks that classify pictures, and the real ends that they share. Imports architecture and calibration."""
