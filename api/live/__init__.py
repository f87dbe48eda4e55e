"""The live feed: what happens to a client's bookings and trips, told to it over Socket.IO while it happens."""
