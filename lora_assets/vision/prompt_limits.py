"""How much one prompt may hold, for the pages too, which load no model. What else fits as a prompt is in prompted."""

MOST_POINTS = 64
"""Clicks of one prompt; a person who needs more draws a box."""
