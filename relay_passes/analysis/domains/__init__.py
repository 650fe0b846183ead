"""What each operator makes of what is known of its operands' values, a file a kind of operators."""
