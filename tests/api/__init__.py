"""The API on a real PostgreSQL, Valkey and Temporal."""
