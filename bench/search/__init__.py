"""What a search costs: a cached one against an empty FastAPI route, a live one against its slowest supplier.

empty    the empty route, in a process of its own: the floor of a cached search
load     as many requests as a server answers, from a process of its own
house    the embedded stack, the empty route beside it, and doors to both
trips    searches that were never made before, and one that may be answered from the cache
live     searches of all suppliers, each beside every supplier asked alone
fan_out  made-up suppliers: how the cost of a search grows with their number
rounds   which runs, in which order
figures  medians, ratios, targets
report   the tables, and the last line
"""
