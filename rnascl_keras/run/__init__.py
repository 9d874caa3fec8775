"""One run of a recipe: its folder, its stages, and what each leaves behind.

`pipeline.run_stages` does the stages of `stage_table` on a `workdir.Run`; `stages` says what each
does, `stamps` what it was made from, `checkpoint.Checkpoint` how it goes on where it was cut short.
"""
