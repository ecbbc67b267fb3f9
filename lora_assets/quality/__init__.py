"""How good a crop's picture is: metrics, their ensemble, and the table `image_quality` of a tracker.

metrics.py          every metric as data: direction, range, weights, licence, cost, source
settings.py         what section [quality] of a tracker may say
ensemble.py         signals, weights, score 0 to 10, bands, disagreement, rank
pictures.py         what a metric is shown: the crop's window of the frame, or the figure on grey
figure.py           sharpness, lighting, contrast and noise under the mask
brisque.py          BRISQUE: features and scorer
clip.py             LAION aesthetics and CLIP-IQA on a CLIP folder
anime_aesthetic.py, musiq.py, pose.py, faces.py   one family of models each
batches.py          batches that are halved when memory runs out
engines.py          which of these are to be had here, with the recipe of each metric
measuring.py        what has no value yet is measured and put on the shelves
making.py           the published table
sheet.py            the best and the worst as one picture

What belongs elsewhere: vetoes and tiers (vision), choosing crops (curation).
"""
