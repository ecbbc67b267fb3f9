"""COCO-annotated comic pages: read, checked, converted, split, grown by what a person accepts.

An *annotated set* is a folder with `annotations.json` (COCO), `images/{train,val}/` and `masks/{train,val}/`.

records.py     the set, its pictures and annotations, and what a problem says
categories.py  panel, bubble, character, text, and the names that other sets give them
mask_forms.py  mask files to bool masks, bool masks to mask files and polygons
splits.py      train and val by title
entries.py     what annotations.json says by itself
reading.py     annotations.json to a set, every broken entry named
writing.py     a set to COCO; plain COCO to the layout with mask files
growing.py     one more mask, as a person accepted it
sample.py      drawn comic pages as a set
places.py      which folder a segmenter's settings name
drawing.py     pages with coloured masks
making.py      the published tables of a segmenter's set
"""

from lora_assets.annotations.categories import CATEGORIES
from lora_assets.annotations.growing import add_annotation
from lora_assets.annotations.reading import read_annotated_set
from lora_assets.annotations.records import (
    AnnotatedImage,
    AnnotatedSet,
    Annotation,
    AnnotationError,
    Category,
    Problem,
)
from lora_assets.annotations.writing import convert, write_coco

__all__ = [
    "CATEGORIES",
    "AnnotatedImage",
    "AnnotatedSet",
    "Annotation",
    "AnnotationError",
    "Category",
    "Problem",
    "add_annotation",
    "convert",
    "read_annotated_set",
    "write_coco",
]
