"""Rare-object mining: the odd and rare things in any folder of frames, street scenes as well as drawings.

settings.py      section [mining] of a tracker, and what the environment says of the caption service
sources.py       where objects come from: a tracker's detections, or a detector of one's own over any frames
objects.py       sampling, the best boxes of each frame, the early filter
descriptor.py    the built-in description of a picture, for a machine without a CLIP checkpoint
embedding.py     objects to vectors, kept by content
outliers.py      IsolationForest and LOF over vectors, and novelty against earlier datasets
rarity.py        the rare-class filter, and the union with its reasons
chat.py          one picture to an OpenAI-compatible service, with retries and a budget
captioning.py    captions of the kept objects; the class name where there is none
layout.py        t-SNE and named clusters
drawing.py       the map and contact sheets as PNG
pipeline.py      the steps one after the other
making.py        the steps as published tables of a tracker
folders.py       the result as files and folders

What belongs elsewhere: detectors (vision), CLIP (vision.clip_embedding), the page of the map (tracker).
"""
