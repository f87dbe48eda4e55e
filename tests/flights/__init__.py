"""Flights watched: news, monitors, and who is told."""
