"""The main line without Dagster: raw_frames -> detections -> masks -> scored_crops, incremental and crash-proof.

stream.py      frames side by side, in order, with bounded memory
progress.py    how far a stage is, for a terminal, a log or nobody
reading.py     files read in processes of their own, so that a decoder's crash costs one file
frames.py      a folder becomes the published table `raw_frames`
stages.py      one stage over the frames that have no result yet; published tables of a cell
cells.py       detections, masks and scored crops of a (dataset, tracker) cell
corrections.py masks made by hand: recipes of a cell with them, and how they lie over the other results
segment_files.py  masks of pictures outside any tracker; asked_boxes.py: the boxes that a person gives for them
integrity.py   what must hold of the published tables
verifying.py   every file against its remembered hash; damaged ones mended

What belongs elsewhere: the algorithms (vision), what is to be made (planning), Dagster (assets).
"""
