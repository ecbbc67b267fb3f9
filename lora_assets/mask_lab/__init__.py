"""Mask refinement chosen by measurement: presets and grids swept over a sample, layers of a frame."""
