"""A run in figures, words and pictures: for the terminal and as a page."""
