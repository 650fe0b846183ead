"""From a model, whoever wrote it, to Relax and a reference that runs it. Imports artifacts and below."""
