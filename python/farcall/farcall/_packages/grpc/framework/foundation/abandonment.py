"""Giving up."""


class Abandoned(Exception):
    """Says that a computation was given up, rather than that it failed."""
