"""A recipe for images that nobody has written one for: looked at, chosen, timed, written."""
