"""The audit: each checker proved by planted bugs, and the whole on real books."""
