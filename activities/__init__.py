"""One file per duty; each activity idempotent by a business key."""
