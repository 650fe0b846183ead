"""Third phase: words, integer thresholds, weights laid out for the kernels. Imports earlier phases and below."""
