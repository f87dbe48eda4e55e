"""All SQL and all Valkey keys."""
