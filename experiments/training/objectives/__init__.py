"""What trainings minimise and how outputs are scored, by task. Imports data and metrics."""
