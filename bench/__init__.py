"""Measurements of what this house costs, each against a floor that does nothing, interleaved in the same run.

    floor         the saga's activity graph with empty activities; also with the payment as a child workflow
    floor_worker  the process that runs the floor
    house         the embedded stack, the floor's worker beside it, and clients to both
    load          one run: so many bookings, so many at once, timed, with the CPU each process used
    rounds        which runs, in which order
    checks        that every measured booking was confirmed, and that the vendors' books agree
    telling       the provider's webhooks off and on, a client's endpoint, and how late events are
    figures       ratios of adjacent runs, their medians and spreads
    report        the tables, and the last line

A figure alone says little on a machine that others use too; the ratios do.
"""
