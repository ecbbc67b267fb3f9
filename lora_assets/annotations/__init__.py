"""COCO-annotated comic pages: read, checked, converted, split, grown by what a person accepts."""
