"""What happens to scheduled TIR on its way to LLVM: one rewrite a file, and the stack that orders them.

Imports amx and below.
"""
