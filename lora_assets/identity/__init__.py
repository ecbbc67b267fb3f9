"""Who is shown: the same figure along a shot, the same character along a film, known again from run to run.

tracker_crops.py  the crops of a tracker as its tables tell them
descriptor.py     the starter descriptor: colours by zones of the body, without weights
likeness.py       a cut-out as a tiny picture, its perceptual hash, its pixels' digest
medium.py         drawn, photograph or unsure
shots.py          where the shots of a film begin
descriptions.py   all of these kept by content
tracks.py         crops of one figure along a shot
clusters.py       tracks of one character: HDBSCAN, must-link, cannot-link
networks.py       CCIP and ArcFace as ONNX files
embedding.py      which descriptor speaks for a crop, answers of networks kept
references.py     reference pictures
registry.py       lasting ids and names: an append-only file of events
settings.py       section [identity]
making.py         the table `characters` of a tracker

What belongs elsewhere: groups of alike crops and the choice (curation). networks, embedding, references and making open
models; nothing that the pages import may import them.
"""
