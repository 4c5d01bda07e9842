"""The base interface: operations between two ends."""
