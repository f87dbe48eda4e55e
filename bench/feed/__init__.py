"""The live feed's bench: many connected clients on one API process.

planting    API clients, and events to tell them
listeners   the connected clients, which note when each message came
rounds      what is measured
report      what a person reads
"""
