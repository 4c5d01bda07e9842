"""The old interfaces."""
