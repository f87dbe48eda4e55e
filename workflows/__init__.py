"""Deterministic sagas, one file each; they name activities by reference and know no vendor."""
