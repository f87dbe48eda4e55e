"""Flight monitors, measured: polls and Temporal actions as bookings grow, fan-out, and signals."""
