"""The relay: events leave the outbox, in order, whatever dies on the way."""
