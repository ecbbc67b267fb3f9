"""From a tracker's crops to the dataset that is trained: groups of alike crops, the choice, the split, its readiness.

settings.py    section [curate]
reasons.py     why a crop is in or out: codes, words, stages of the funnel
duplicates.py  exact twins, held frames, near-duplicates, variants
groups.py      the table `crop_groups`
framing.py     face, bust, half, full; front, side, back
looks.py       outfits and poses of a character
choosing.py    best first, never twice the same, in balance
splitting.py   a validation part that shares no shot and no group
readiness.py   ready, needs attention, blocked; funnel and coverage
making.py      the table `curated_dataset`
checking.py    what must hold of it
drawing.py     funnel and contact sheets as pictures

What belongs elsewhere: who is shown (identity; its modules that open models are never imported here), scores
(vision.score, quality), files for trainers (exports).
"""
