"""Captions, and exports of the chosen crops to trainers, each read back by that trainer's own rules.

settings.py        sections [export] and [caption] of a tracker's file
pool.py            which crops are exported: the curated dataset, or the high tier where there is none
tag_lists.py       tags that say who somebody is; smileys; what framings are called
caption_text.py    template and tags become one line, the trigger first
caption_log.py     captions that a person wrote: an append-only log that wins over everything
caption_files.py   captions of one's own, per dataset (JSONL, CSV) or beside a frame (.txt)
tagging.py         the tagger that the settings name
captioning.py      the table `captions` of a tracker: tags by a tagger, then templates, then a person's words
buckets.py         the sizes that trainers bring pictures to, and what they cut off
fitting.py         a crop's window, grown until no trainer cuts the head off
pixels.py          the picture and the mask of a crop, as a trainer gets them
records.py         one record per crop: everything that any format writes of it
writing/           one module per trainer: records become a folder
reading/           one module per trainer: a folder is read as that trainer would, and judged
manifest.py        manifest.json: what an export is made of, and the hash of each of its files
place.py           where exports lie; a folder is replaced whole or not at all
making.py          a tracker's exports: records, formats, readings
preview.py         a contact sheet of a finished export, masks laid over

What belongs elsewhere: which crops are chosen (curation), the tagger's network (vision), assets and commands.
"""
