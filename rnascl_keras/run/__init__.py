"""One run of a recipe: its folder, its stages, and what each leaves behind."""
