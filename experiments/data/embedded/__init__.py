"""Data that needs no download: scikit-learn's digits, and generated scenes, point clouds, tones, sentences, mattes."""
