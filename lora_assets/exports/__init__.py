"""A chosen dataset as each trainer reads it: captions, writers, and readers by that trainer's rules."""
