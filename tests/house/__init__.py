"""Checks of the house itself: its layout, its locks, its image and its production topology."""
