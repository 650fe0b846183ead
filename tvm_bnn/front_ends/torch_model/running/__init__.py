"""Exported programs run node by node: signs of zero, near ties, what rounding moves. It imports no other room."""
