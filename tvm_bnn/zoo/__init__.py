"""The trained networks that ship with the package, as files, and where they lie. It imports nothing of ours."""
