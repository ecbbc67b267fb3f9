"""The judge: P(good) of a crop, learned from a person's verdicts, beside the rules and never over a veto of theirs.

features.py    what it looks at: measured columns as numbers, what was seen of them
additive.py    the model: weights, steps, Platt's calibration, all plain numbers
groups.py      shots and near-duplicates; folds that never part them
learning.py    choosing, training, trying on groups left out
comparing.py   precision at equal recall against the rules, with an interval; tiers; reliability
judging.py     what it says of a crop: P(good), abstains, tier, order of the review queue
report.py      a judge with its report, in words
drawing.py     the report as a picture
kept.py        a judge as JSON and back
making.py      a tracker's judge from its tables and the log of verdicts; where it is kept

What belongs elsewhere: taking verdicts and matching them to crops (verdicts), the rules (vision.score).
"""
