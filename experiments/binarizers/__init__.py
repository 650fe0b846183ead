"""The binarization methods: one class a file, in rooms by what they improve, and the catalog of all."""
