"""What a server says about itself to a tracker, looked at before anybody else sees it."""

from __future__ import annotations

from typing import Annotated

import msgspec

from rpc.formats.board_facts import BoardFacts
from rpc.tracking.tracker_protocol import ProtocolError

_MOST_NAME, _MOST_FACTS, _MOST_FACT = 128, 64, 4096
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class Introduction(msgspec.Struct):
    """What a server says about itself; TVM's own have no facts."""

    key: str
    addr: tuple[str | None, Port]
    facts: dict[str, str | int | float | bool] = {}


def introduction(value: object) -> Introduction:
    """Return what a server said, if all of it is what it must be.

    Raises
    ------
    ProtocolError
        If something is not, named.
    """
    made = msgspec.convert(value, Introduction)
    name(made.key)
    if made.addr[0] is not None:
        name(made.addr[0])
    # What clients read, by its type; facts that only newer clients know are looked at as text.
    msgspec.convert(made.facts, BoardFacts)
    if len(made.facts) > _MOST_FACTS:
        raise ProtocolError(f"{len(made.facts)} facts; at most {_MOST_FACTS} are possible")
    for key, fact in made.facts.items():
        name(key)
        if isinstance(fact, str) and not (len(fact) <= _MOST_FACT and fact.isprintable()):
            raise ProtocolError(f"the fact '{key}' is no line of at most {_MOST_FACT} characters")
        if isinstance(fact, int) and not -(1 << 63) <= fact < 1 << 63:
            raise ProtocolError(f"the fact '{key}' is beyond 64 bits")
    return made


def name(value: object) -> str:
    """Return a key, an address or a match key.

    Raises
    ------
    ProtocolError
        If it is none.
    """
    text = msgspec.convert(value, str)
    if not 0 < len(text) <= _MOST_NAME:
        raise ProtocolError(f"a name of {len(text)} characters; from 1 to {_MOST_NAME} are possible")
    if not text.isprintable():
        raise ProtocolError("a name with control characters")
    return text
