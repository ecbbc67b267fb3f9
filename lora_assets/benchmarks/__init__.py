"""Measurements of the main line, printed as ratios to a peer or to the pure model time of the same run.

inputs.py      folders of drawn frames, as many as asked, each with bytes of its own
cheap.py       models that cost nothing, to measure everything but models
upkeep.py      no-op re-runs, one per cent new frames, memory against the number of frames
pipeline.py    the whole line against its models alone, and against the loop that tutorials show

What belongs elsewhere: accuracy (training measures its own models).
"""
