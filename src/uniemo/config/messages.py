"""Turn the configuration parser's errors into one line that names key, value and remedy.

jsonargparse raises its errors as text alone, without the key or the value as attributes, so they
are read from the text.
"""

import difflib
import inspect
import re
from collections.abc import Iterator
from textwrap import shorten
from typing import Any

from jsonargparse import ArgumentParser
from lightning import LightningDataModule

_UNKNOWN = (
    re.compile(r"unrecognized arguments: --(?P<key>[\w.+]+)"),
    re.compile(r"Key '(?P<key>[\w.]+)' is not expected"),
    re.compile(r"Option '(?P<option>[\w.]+)' is not accepted"),
    re.compile(r"does not accept option '(?P<key>[\w.]+)'"),
    re.compile(r"NestedArg\(key='(?P<option>[\w.]+)', val=(?P<value>.*)\)"),
    re.compile(r"No action for (?:destination )?key ['\"](?P<key>[\w.]+)['\"]"),
)
_DENIED = re.compile(r"Importing '(?P<path>[\w.]+)' is not allowed")
_CLASS = re.compile(
    r"Problem with given class_path '(?P<path>[^']*)':\s+"
    r"(?P<why>(?:module|No module|type|cannot import|Import path)[^\n]*)"
)
_NOT_SUBCLASS = re.compile(r"(?:a subclass|Not a valid subclass) of (?P<base>\w+)")
_NO_GROUP = re.compile(r"Unable to load config ['\"](?P<got>.*?)['\"]")
_INNER = re.compile(r"- key '(?P<key>[\w.]+)' (?P<problem>is (?!unknown)[^\n]+)")
"""What this module has said of a key of an optional group, for which it has a parser of its own."""
_KEY = re.compile(r"Parser key ['\"](?P<key>[\w.]+)['\"]")
_EXPECTED = re.compile(r"Expected an? (?P<kind>[^\n]+?)(?:\. Got value: (?P<got>[^\n]*))?(?:\n|$)")
_GIVEN = re.compile(r"Given value: (?P<got>[^\n]*)")


def explain(message: str, parser: ArgumentParser) -> str:
    """Return one line for a parser's error message.

    Args:
        message: What jsonargparse says; often many lines of unions.
        parser: Its keys are offered where one is unknown.
    """
    where = _KEY.search(message)
    prefix = where["key"] if where else ""
    if denied := _DENIED.search(message):
        return (
            f"key {prefix!r} names {denied['path']}, which is not of uniemo, data_modules, "
            "lightning or torch; its module would be run: if you trust it, add --trust-config"
        )
    if inner := _INNER.search(message):
        return f"key '{prefix}.{inner['key']}' {inner['problem']}"
    if named := _CLASS.search(message):
        return f"key '{prefix}.class_path' is {named['path']} ({named['why']}); give a class"
    if base := _NOT_SUBCLASS.search(message):
        return f"key '{prefix}.class_path' names no {base['base']}; give one"
    if group := _NO_GROUP.search(message):
        return f"key {prefix!r} is {group['got']:.60}, but should be a group of keys"
    for pattern in _UNKNOWN:
        if found := pattern.search(message):
            parts = found.groupdict()
            known = list(_keys(parser))
            key = parts.get("key") or _full(prefix, parts["option"], known)
            if key in known:
                return f"key {key!r} cannot be {parts.get('value', 'that')}; see its help"
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            return f"key {key!r} is unknown" + (f"; did you mean {near[0]!r}?" if near else "")
    expected = _EXPECTED.search(message)
    if where and expected:
        got = expected["got"] or (given["got"] if (given := _GIVEN.search(message)) else "?")
        return f"key {prefix!r} is {got:.60}, but should be {_readable(expected['kind'])}"
    return shorten(message, 300)


def _full(prefix: str, option: str, known: list[str]) -> str:
    """Join an option to the group it was given in."""
    inner = f"{prefix}.init_args"
    joint = inner if any(key.startswith(f"{inner}.") for key in known) else prefix
    return f"{joint}.{option}".lstrip(".")


def _keys(parser: ArgumentParser) -> Iterator[str]:
    """Yield every key of a parser, and the arguments of the data modules known so far."""
    for action in parser._actions:
        if action.dest not in ("help", "config", "print_config"):
            yield action.dest
    for data_module in _subclasses(LightningDataModule):  # imported when its class_path was read
        for name in inspect.signature(data_module).parameters:
            yield f"data.init_args.{name}"


def _subclasses(base: type) -> Iterator[type]:
    own: type
    for own in base.__subclasses__():
        yield own
        yield from _subclasses(own)


def _readable(kind: str) -> Any:
    """Return a type as a reader's words."""
    if choice := re.match(r"typing\.Literal\[(.*)\]", kind):
        return f"one of {choice[1]}"
    names = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text"}
    plain = re.sub(r"<class '([\w.]+)'>", r"\1", kind)
    return names.get(plain, plain)
