"""Doubles of channels, servers and time, to test what makes or serves RPCs without a network."""
