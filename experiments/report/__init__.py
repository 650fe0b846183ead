"""The report: tables and figures of a run's results, in one HTML page and in Markdown."""
