"""What we compile for: targets, instruction sets, this host, how LLVM names and the linker serve them.

Imports errors alone.
"""
