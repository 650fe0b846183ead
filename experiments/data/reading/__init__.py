"""How pictures, sounds and words are read. Imports dataset."""
