"""Prompted segmenters tuned on annotated sets, judged against their untouched base."""
