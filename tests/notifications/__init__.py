"""Telling travellers: words, quiet hours, the ladder, receipts."""
