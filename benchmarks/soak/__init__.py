"""`make soak`: the node under every fault a robot has, next to an undisturbed one; processes killed while they save.

Real DDS, real processes. `faults.py` is the table; test/nodes/test_faults.py runs it in seconds on a smaller world.
"""
