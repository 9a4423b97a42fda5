"""`make quality`: the paper's tables on scenes whose truth is known exactly.

plan (which scenes, conditions and settings) -> run (one map with every row judged on it) -> pool (two at a time) ->
results (the files of all jobs) -> tables, goals, report. Judging is apart from mapping: scoring, naming, structure.
"""
