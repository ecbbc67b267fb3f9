"""What one picture holds: reading frames, finding characters, cutting them out and judging the cut-outs.

One module per noun: images (files to pixels), boxes and detect (where characters are), segment, masks and refine (which
pixels are theirs), crops (the cut-outs), checks and score (how good they are). Everything here takes arrays and rows of
one frame and gives arrays and rows back; nothing here knows datasets, trackers, files of the store or Dagster.
"""
