"""Mask refinement chosen by measurement: presets and grids swept over a sample, layers of a frame.

settings.py    sections [mask_lab] and [layers] of a tracker
grid.py        which presets a sweep tries, and when it is too large to start unasked
frames.py      frames and their masks before refinement: a tracker's, or those of a salient-object network
sample.py      which masks a sweep looks at: smallest, thin parts, touching pairs, chance
truth.py       true masks, where somebody has them
measures.py    coverage, IoU, boundary F, thin parts at latent 1/8
sweeping.py    every preset on every sampled mask; objective and Pareto front
drawing.py     overlays, zooms on edges, plots
file_names.py  what those files are called
folders.py     a sweep as files and folders, with its report
making.py      a sweep as published tables of a tracker
layers.py      the characters of a frame and its background apart
adopting.py    a preset written into a tracker's file

What belongs elsewhere: the presets and refinement itself (vision), the page (tracker).
"""
