"""The small binary network that the compiler ships as its embedded default, and how it is trained."""
