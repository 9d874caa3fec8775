"""What there is to choose from, and every setting, each with a line from its own docstring."""
