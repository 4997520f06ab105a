"""Schedules by chance and by priorities: they reach where there is too much to visit everything."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Final

from jobsim.core.streams import Stream, Streams
from jobsim.testing.interleaving_course import Schedule
from jobsim.testing.interleaving_run import Run
from jobsim.testing.interleaving_scope import CLOCK, How, Move

_SELDOM: Final = 0.15
"""How often a fault is considered, where one is possible, and how often chance lets the clock advance."""

_LENGTH: Final = 80
"""About how many steps a schedule has: changes of priority fall into those."""

_CHANGES: Final = 3
"""How often priorities change in a schedule: it finds what needs so many moves in an order of their own."""


class Order(StrEnum):
    """By what it is chosen who is next."""

    CHANCE = "chance"
    """By lot, at each step anew."""

    PRIORITY = "priority"
    """By priorities drawn by lot for the loops and the clock; at a few steps, the one who is next becomes the
    last. What needs d moves in a certain order is found with a probability of at least 1/(n k**(d-1)), for n
    loops and k steps, however unlikely it is by chance. Source: Burckhardt, Kothari, Musuvathi & Nagarakatte,
    "A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs", ASPLOS 2010, section 3."""


def schedule(order: Order, seed: int, number: int) -> Schedule:
    """Return schedule `number` of those that `order` has for a seed."""
    stream = Streams(seed).stream(f"interleaving:{order.value}", number)
    chosen = _by_chance if order is Order.CHANCE else _by_priority
    return lambda run: chosen(run, stream)


def _by_chance(run: Run, stream: Stream) -> Iterator[Move]:
    while moves := run.moves():
        yield _picked(_some(moves, stream), stream)


def _some(moves: Sequence[Move], stream: Stream) -> Sequence[Move]:
    """Return the usual moves, or seldom the faults, or the clock's; others where there are none of those."""
    seldom = [move for move in moves if move.who == CLOCK or move.how is not How.PLAIN]
    usual = [move for move in moves if move not in seldom]
    return seldom if seldom and (not usual or stream.random() < _SELDOM) else usual


def _by_priority(run: Run, stream: Stream) -> Iterator[Move]:
    changes = {int(stream.random() * _LENGTH) for _ in range(_CHANGES)}
    priorities: dict[tuple[int, int], float] = {}
    step = 0
    while moves := run.moves():
        for move in moves:
            priorities.setdefault((move.who, move.number), stream.random())
        first = max(moves, key=lambda move: priorities[move.who, move.number])
        if step in changes:
            priorities[first.who, first.number] = -float(step)
            first = max(moves, key=lambda move: priorities[move.who, move.number])
        step += 1
        yield _some_way([move for move in moves if move[:2] == first[:2]], stream)


def _some_way(moves: Sequence[Move], stream: Stream) -> Move:
    """Return the first of `moves`, which is as it should, or seldom another."""
    return _picked(moves, stream) if stream.random() < _SELDOM else moves[0]


def _picked(moves: Sequence[Move], stream: Stream) -> Move:
    return moves[int(stream.random() * len(moves))]
