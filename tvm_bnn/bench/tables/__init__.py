"""Results as tables for people. Imports records."""
