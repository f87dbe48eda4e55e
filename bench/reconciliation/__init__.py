"""What reconciliation costs: many payments in the provider's books and in ours, a few of them wrong, and runs from several watermarks.

business  which payments there were, when, and what is wrong with a few of them
planting  the payments in the simulated provider's books, and the bookings, payments and ledger entries in ours
runs      one run of the product's own workflow: pages, time, processor and memory of the worker
rounds    which runs, in which order, and that each found what was wrong since its watermark and nothing else
figures   growth, ratios, targets, and the last line
report    the tables
"""
