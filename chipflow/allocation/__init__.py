"""Layers to cores."""
