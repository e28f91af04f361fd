"""Measurements, one command each; every time is printed as a ratio to a named baseline of the same run."""
