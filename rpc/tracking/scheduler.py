"""Who gets which device: a queue for each key, first come, first served within a priority."""

from __future__ import annotations

import dataclasses
import heapq
import itertools
from collections.abc import Callable, Hashable
from typing import TypeVar


@dataclasses.dataclass(frozen=True)
class Offer:
    """A server that one client may connect to, with the match key that it will then ask for."""

    owner: Hashable
    key: str
    address: str
    port: int
    match_key: str


class DuplicateError(ValueError):
    """Two devices cannot have one match key."""


#: Takes an offer; returns False if the client is gone, and another one may have it.
Taker = Callable[[Offer], bool]
_T = TypeVar("_T")


@dataclasses.dataclass(order=True)
class _Request:
    order: tuple[int, int]
    owner: Hashable = dataclasses.field(compare=False)
    take: Taker = dataclasses.field(compare=False)


class Scheduler:
    """Offers and requests that wait for each other."""

    def __init__(self) -> None:
        self._offers: dict[str, list[Offer]] = {}
        self._requests: dict[str, list[_Request]] = {}
        self._arrivals = itertools.count()
        self._owners: dict[str, Hashable] = {}

    def put(self, offer: Offer) -> None:
        """Offer a device, in place of what its owner offered before: it serves one client at a time.

        Raises
        ------
        DuplicateError
            If another owner's offer, standing or taken, has that match key: it would lead its clients astray.
        """
        self.refuse_duplicate(offer)
        self._release_match_keys(offer.owner)
        self._owners[offer.match_key] = offer.owner
        self._drop_offers(offer.owner)
        self._offers.setdefault(offer.key, []).append(offer)
        self._match(offer.key)

    def refuse_duplicate(self, offer: Offer) -> None:
        """Raise a DuplicateError if another owner's offer has that match key."""
        if self._owners.get(offer.match_key, offer.owner) != offer.owner:
            raise DuplicateError(f"the match key '{offer.match_key}' is another device's")

    def request(self, key: str, priority: int, owner: Hashable, take: Taker) -> None:
        """Ask for a device of a key; the higher the priority, the sooner."""
        request = _Request((-priority, next(self._arrivals)), owner, take)
        heapq.heappush(self._requests.setdefault(key, []), request)
        self._match(key)

    def forget(self, owner: Hashable) -> None:
        """Drop all that somebody offered or asked for."""
        self._release_match_keys(owner)
        self._drop_offers(owner)
        for key, requests in list(self._requests.items()):
            kept = [request for request in requests if request.owner != owner]
            heapq.heapify(kept)
            self._keep(self._requests, key, kept)

    def match_keys(self, owner: Hashable) -> list[str]:
        """Return the match keys of an owner's offers that nobody has taken."""
        return [offer.match_key for offers in self._offers.values() for offer in offers if offer.owner == owner]

    def queues(self) -> dict[str, dict[str, int]]:
        """Return how many devices are free and how many clients wait, for each key."""
        keys = sorted({*self._offers, *self._requests})
        return {
            key: {"free": len(self._offers.get(key, ())), "pending": len(self._requests.get(key, ()))} for key in keys
        }

    def _release_match_keys(self, owner: Hashable) -> None:
        for key in [key for key, holder in self._owners.items() if holder == owner]:
            del self._owners[key]

    def _drop_offers(self, owner: Hashable) -> None:
        for key, offers in list(self._offers.items()):
            self._keep(self._offers, key, [offer for offer in offers if offer.owner != owner])

    @staticmethod
    def _keep(queues: dict[str, list[_T]], key: str, kept: list[_T]) -> None:
        """Store what is left of a queue; an empty one goes, or names that somebody made up would stay for ever."""
        if kept:
            queues[key] = kept
        else:
            queues.pop(key, None)

    def _match(self, key: str) -> None:
        offers, requests = self._offers.get(key, []), self._requests.get(key, [])
        while offers and requests:
            if heapq.heappop(requests).take(offers[0]):
                offers.pop(0)
        self._keep(self._offers, key, offers)
        self._keep(self._requests, key, requests)
