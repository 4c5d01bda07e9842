"""Tools of an older API, for the programs that still import them."""
