"""What a model is judged by: the metric of each task, and BiBench's overall metrics."""
