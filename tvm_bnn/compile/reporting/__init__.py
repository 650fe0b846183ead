"""What a compilation reports: its rows and totals, as a struct and as tables. Imports verifying and below."""
