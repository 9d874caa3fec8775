"""What the search of the paper's own length has found, block by block: a table, and a picture."""

from __future__ import annotations

from pathlib import Path

from benchmarks.markdown import markdown
from rnascl_keras.method.derive import select
from rnascl_keras.method.outcome import SearchOutcome
from rnascl_keras.report.keys import short_layer
from rnascl_keras.report.search_plots import tutor_map
from rnascl_keras.units import count

OUTCOME = Path(__file__).parent.parent / "results" / "cifar10_s3_wrt34_search.json"
"""The `outcome.json` that the search has left."""

PARTS = ("expand", "depthwise", "project")


def paper_search(content: None) -> str:
    """One row a block: its width, how probable that is, and the tutors of its convolutions."""
    outcome = SearchOutcome.load(OUTCOME)
    found = select(outcome)
    tutors = {tutor.student_layer: short_layer(tutor.teacher_layer) for tutor in found.tutors}
    blocks = [choice.removesuffix("_choice") for choice in outcome.channel_logits]
    options = [stage.widths for stage in outcome.space.stages for _ in range(stage.depth)]
    widths = [width for stage in found.widths for width in stage]
    lines = [["stem", str(outcome.space.stem_width), tutors["stem"], "", ""]]
    for name, among, width, p in zip(
        blocks, options, widths, outcome.channel_probabilities, strict=True
    ):
        chosen = f"{width} of {', '.join(map(str, among))} ({p[among.index(width)]:.2f})"
        own = [tutors[f"{name}_{part}"] for part in PARTS]
        lines.append([short_layer(name), chosen, *own])
    head = ["block", "width", *(f"tutor of {part}" for part in PARTS)]
    sizes = f"{count(found.parameters)} parameters, {count(found.macs)} MACs"
    return f"{sizes}; how probable a width is in brackets.\n\n{markdown(head, lines)}"


def picture() -> str:
    """Draw how probable each teacher layer is as the tutor of each student layer."""
    outcome = SearchOutcome.load(OUTCOME)
    return tutor_map(outcome.tutor_probabilities, outcome.student_layers, outcome.teacher_layers)
