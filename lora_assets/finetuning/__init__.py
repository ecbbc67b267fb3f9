"""Prompted segmenters tuned on annotated sets, judged against their untouched base; the page detector beside them.

settings.py     the settings file data/segmenters/<name>.toml
preflight.py    everything that can be known before a training starts; memory.py: what it takes
networks.py     SAM, MobileSAM, the starter SAM and SAM 2 as one; planes.py: pixels of pages to logits and back
prompts.py      boxes, clicks and corrections, simulated; losses.py: what an answer costs; adapters.py: LoRA
learning.py     what learns, a step, a validation; pages.py: pages and kept embeddings
loop.py         the course of a training; checkpoints.py: where it goes on; history.py: who is told
judging.py      tuned against base; drawing.py: its pictures
making.py       what the assets and the command call
page_*.py       panels, bubbles, characters and text of a page found without prompts
"""
