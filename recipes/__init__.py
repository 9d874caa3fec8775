"""Recipes: one Python file for each, whose docstring says how to run it and what came out."""
