"""From an exported program to one that TVM's importer translates rightly, and the names of its layers."""
