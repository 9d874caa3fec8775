"""Names that tell a LiteRT file's tensors apart, for what goes by names where LiteRT itself does
not."""

from __future__ import annotations

from rnascl_keras.export.litert.reading import IDENTIFIER
from rnascl_keras.export.litert.runtime import schema


def with_distinct_names(content: bytes) -> bytes:
    """Return a file's content with tensors named by their numbers where names are missing, empty or
    those of several; as it is where they tell the tensors apart."""
    model = schema().Model.GetRootAs(content, 0)
    graphs = [model.Subgraphs(k) for k in range(model.SubgraphsLength())]
    if all(_are_distinct([g.Tensors(k).Name() for k in range(g.TensorsLength())]) for g in graphs):
        return content
    import flatbuffers

    # a name that is missing has no place in the content, so it is written anew
    changed = schema().ModelT.InitFromObj(model)
    for number, graph in enumerate(changed.subgraphs):
        for k, tensor in enumerate(graph.tensors or ()):
            tensor.name = f"tensor_{number}_{k}"
    builder = flatbuffers.Builder(len(content))
    builder.Finish(changed.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def _are_distinct(names: list[bytes | None]) -> bool:
    return all(names) and len(set(names)) == len(names)
