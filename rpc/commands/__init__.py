"""The commands of ``python -m rpc``, one a module; each is also a function."""
