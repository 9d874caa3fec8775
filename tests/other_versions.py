"""Rules by which a JSON file becomes one that another version may have left."""

import copy
import json
import re

from rnascl_keras.errors import UserError

DEEPEST = 4


def without(owner, key):
    del owner[key]


def wrapped(owner, key):
    owner[key] = [owner[key]] if isinstance(owner[key], dict) else {"value": owner[key]}


def places(content, before=()):
    """Yield where the keys of a JSON object are; of objects with equal keys, one is gone into, and
    of numbers by name, as accuracies by attack, one is taken."""
    seen = []
    if before and all(isinstance(value, float) for value in content.values()):
        content = dict(list(content.items())[:1])
    for key, value in content.items():
        yield (*before, key)
        inside = value[0] if isinstance(value, list) and value else value
        if isinstance(inside, dict) and len(before) < DEEPEST - 1 and set(inside) not in seen:
            seen.append(set(inside))
            step = (key, 0) if inside is not value else (key,)
            yield from places(inside, (*before, *step))


def changed(content, place, rule):
    """Return a copy of which the value at `place` was changed."""
    made = owner = copy.deepcopy(content)
    for step in place[:-1]:
        owner = owner[step]
    rule(owner, place[-1])
    return made


def told(error, path, place):
    """Return whether an error's one line names the file, and the key or what it stands in."""
    line = str(error)
    return "\n" not in line and str(path) in line and {*map(str, place)} & {*words_of(line)}


def words_of(line):
    """Return the words of a line, and the parts of dotted ones."""
    words = re.findall(r"[\w.]+", line)
    return [*words, *(part for word in words for part in word.split("."))]


def taken(path, content, read):
    """Write every change of a file's content to `path`, and one key more; yield what `read` gives
    for each that it takes. What it refuses, it has to refuse in one line, with the key."""
    changes = [
        (place, changed(content, place, rule)) for place in places(content) for rule in RULES
    ]
    for place, made in [*changes, ((), content | {"later": {"x": 1}})]:
        path.write_text(json.dumps(made))
        try:
            found = read(path)
        except UserError as error:
            assert told(error, path, place), error
        else:
            yield place, found


RULES = (without, wrapped)
