"""What a program must not be: called by keyword, made of numbers that are none, or able to remember."""
