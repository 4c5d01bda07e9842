"""What is left of an older API, for the programs that still import it."""
