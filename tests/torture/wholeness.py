"""Whether every file in a work folder is whole, and in what two finished runs differ."""

import json
import zipfile

import h5py

OF_THE_MOMENT = {"date", "seconds", "evaluation_seconds", "duration"} | {
    *("one_thread", "all_threads", "ms"),
    # SavedModels and files of times differ, and with them their hashes
    *("signature", "inputs", "makes"),
}
"""Keys of JSON files under which stands what no two runs have in common."""
SHOWING = (".html", ".svg", ".png", ".pb", ".py", ".index", ".data-00000-of-00001")
"""Files that show what stands in others, with what it took; and SavedModels, beside their ONNX."""


def half_file(work):
    """Return the name of a file that stands under its final name and is not whole, or None."""
    for path in sorted(p for p in work.rglob("*") if p.is_file()):
        if path.name.startswith("part_") or ".part" in str(path.relative_to(work)):
            continue
        try:
            if path.suffix == ".json":
                json.loads(path.read_text())
            elif path.suffix in (".keras", ".npz"):
                assert zipfile.ZipFile(path).testzip() is None
            elif path.suffix == ".h5":
                _read_all(path)
            elif path.suffix == ".onnx":
                import onnx

                onnx.checker.check_model(str(path))
        except Exception as error:
            return f"{path.relative_to(work)} is not whole: {error}"
    return None


def difference(work, whole):
    """Return in what two finished runs differ, bit for bit, or None.

    What they took, and when, is left out, and the pictures and pages that show it.
    """
    ours, theirs = names(work), names(whole)
    if ours != theirs:
        return f"other files: {sorted(ours ^ theirs)}"
    for name in sorted(ours):
        place = _differs(work / name, whole / name, work, whole)
        if place is not None:
            return f"{name} differs{place}"
    return None


def names(work):
    """Return the files of a run but for those that TensorBoard names by the clock."""
    files = (str(p.relative_to(work)) for p in work.rglob("*") if p.is_file())
    return {name for name in files if "tfevents" not in name}


def _differs(one, other, work, whole):
    """Return where two files of one name differ, " at KEY.KEY" of a JSON, or None."""
    if one.suffix == ".json":
        ours, theirs = (
            path.read_text().replace(str(work), "WORK").replace(str(whole), "WORK")
            for path in (one, other)
        )
        ours, theirs = _values(json.loads(ours)), _values(json.loads(theirs))
        keys = [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
        return f" at {keys[0]}" if keys else None
    if one.suffix in SHOWING or one.read_bytes() == other.read_bytes():
        return None
    return ""


def _values(content, at=""):
    """Return what stands in a JSON, each value by the path of its keys, but for the moment's."""
    if isinstance(content, dict):
        items = [(key, value) for key, value in content.items() if key not in OF_THE_MOMENT]
    elif isinstance(content, list):
        items = list(enumerate(content))
    else:
        return {at: repr(content)}  # so that a NaN equals itself
    found = {at: f"{type(content).__name__} of {len(items)}"}
    for key, value in items:
        found |= _values(value, f"{at}.{key}" if at else str(key))
    return found


def _read_all(path):
    """Read every array of an HDF5 file."""
    found = []
    with h5py.File(path) as file:
        file.visititems(lambda _, x: found.append(x[()]) if isinstance(x, h5py.Dataset) else None)
