"""Pose files in and out, one module a container."""
