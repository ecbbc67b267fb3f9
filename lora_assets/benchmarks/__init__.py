"""Measurements of the main line, printed as ratios to a peer or to the pure model time of the same run.

inputs.py      folders of drawn frames, as many as asked, each with bytes of its own
cheap.py       models that cost nothing, to measure everything but models
upkeep.py      no-op re-runs, one per cent new frames, memory against the number of frames
curation.py    shots, characters, groups of alike crops and the split on drawn films (drawn_films.py)
judge.py       the judge against the rules, with a simulated reviewer
tiers.py       tiers and flags on drawn crops with known defects
tier_rules.py  the written rules: which defect of which strength makes which tier
tier_scenes.py    drawn crops with a known defect, as the rows of a detector and a segmenter (bases: tier_bases.py;
               damages: tier_mask_damages.py and tier_picture_damages.py)
tier_pieces.py    fits numbers inside the checks on drawn scenes, as tier_heads.py and tier_lettering.py do
               (the regressions: tier_regression.py)
pipeline.py    the whole line against its models alone, and against the loop that tutorials show
starters.py    the starter models: everything that follows, and the drawn scenes of `training.starters`, as tables
real_drawings.py  characters that detectors find in real drawings
model_speed.py    milliseconds per frame by runtime and threads
quality.py     metrics of image quality: their cost, and which damage each of them tells
mining.py         rare-object mining on drawn streets with planted rarities, and over many vectors
mask_lab.py       refinement presets: cost in the box and on whole frames, quality on drawn scenes
clicks.py         masks by simulated clicks: IoU and milliseconds, in the process and in Chromium
failures.py       sheets of pictures of what the starters get wrong

What belongs elsewhere: how the accuracy of a model is measured (training).
"""
