"""What budgets and breakers make of the attempts that end: pure, so that every store asks the same.

`core.decide` says whether a failed attempt is worth another; here it is said whether that can be afforded.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any, Final, NamedTuple

from jobsim.core.breaker import Breaker, Circuit, Phase
from jobsim.core.budget import Budget, Ending, Purse, WhenEmpty
from jobsim.core.decide import Decision
from jobsim.core.job import Lease
from jobsim.core.limits import By, Limit, Scope
from jobsim.core.time import Duration, Instant
from jobsim.core.transitions import Kind
from jobsim.core.windows import Window

_ENDINGS: Final = {ending.value: ending for ending in Ending}
_BROKEN: Final = "breaker"
_EMPTY: Final = "budget"
_LATE: Final = "too_old"
REASONS: Final = (_BROKEN, _EMPTY, _LATE)
"""What the reason of a retry may become."""

_OWN_FAULT: Final = ("not_retryable", "discarded")
"""The `Why.reason` of errors that say nothing of what the job depends on."""


class Tally(NamedTuple):
    """How the budget and the breaker of a scope stand; `None`: as they begin."""

    purse: Purse | None = None
    circuit: Circuit | None = None


class Guard:
    """What settlements mean to the budgets and breakers in force, and those to settlements.

    `tallies` says how they stand, and `moved` which of them `settle` has changed.
    """

    __slots__ = ("_guards", "moved", "tallies")

    def __init__(self, limits: Mapping[Scope, Limit], tallies: Mapping[Scope, Tally]) -> None:
        self._guards = {scope: limit for scope, limit in limits.items() if limit.guards}
        self.tallies = dict(tallies)
        self.moved: dict[Scope, Tally] = {}

    def __bool__(self) -> bool:
        return bool(self._guards)

    @property
    def circuits(self) -> dict[Scope, Circuit]:
        """How breakers stand, for a `Gate`."""
        return circuits_of(self.tallies)

    def settle(self, lease: Lease, decision: Decision, now: Instant) -> Decision:
        """Return what is written in place of `decision` for an attempt that ends `now` under `lease`."""
        scopes = [s for s in (Scope(By.QUEUE, lease.queue), Scope(By.KIND, lease.kind)) if s in self._guards]
        ending = _ENDINGS.get(decision.why.outcome)
        if not scopes or ending is None or decision.why.reason in _OWN_FAULT:
            return decision
        for scope in scopes:
            self._ended(scope, ending, lease, now)
        return self._afforded(scopes, decision, ending, now) if decision.kind is Kind.RETRY else decision

    def _ended(self, scope: Scope, ending: Ending, lease: Lease, now: Instant) -> None:
        limit, tally = self._guards[scope], self.tallies.get(scope, Tally())
        if limit.budget is not None:
            purse = tally.purse or limit.budget.open(now)
            tally = tally._replace(purse=limit.budget.ended(purse, ending, first=lease.tries == 1, now=now))
        if limit.breaker is not None:
            failed = ending is not Ending.SUCCEEDED
            circuit = limit.breaker.ended(tally.circuit or Circuit(), now, failed=failed)
            tally = tally._replace(circuit=circuit)
        self._keep(scope, tally)

    def _keep(self, scope: Scope, tally: Tally) -> None:
        self.tallies[scope] = self.moved[scope] = tally

    def _afforded(self, scopes: list[Scope], decision: Decision, ending: Ending, now: Instant) -> Decision:
        """Return the retry, paid by all budgets; or put off; or a dead letter, which pays nothing."""
        due = decision.due
        if due is None or any(self._is_open(scope, now) for scope in scopes):
            return _buried(decision, _BROKEN)
        paid: dict[Scope, Tally] = {}
        for scope, budget, tally in self._budgets(scopes):
            purse = tally.purse or budget.open(now)
            granted = budget.grants(purse, ending, now)
            if not granted and budget.when_empty is WhenEmpty.DEAD_LETTER:
                return _buried(decision, _EMPTY)
            purse, at = budget.pay(purse, ending, now)
            paid[scope] = tally._replace(purse=purse)
            due = due if granted else max(due, at)
        if decision.latest is not None and due > decision.latest:
            return _buried(decision, _LATE)
        for scope, tally in paid.items():
            self._keep(scope, tally)
        if due == decision.due:
            return decision
        return decision._replace(due=due, why=decision.why._replace(reason=_EMPTY))

    def _is_open(self, scope: Scope, now: Instant) -> bool:
        """Return whether the breaker of a scope stops retries just now."""
        breaker, circuit = self._guards[scope].breaker, self.tallies[scope].circuit
        if breaker is None or breaker.holds or circuit is None:
            return False
        return breaker.phase(circuit, now) is Phase.OPEN

    def _budgets(self, scopes: list[Scope]) -> Iterator[tuple[Scope, Budget, Tally]]:
        for scope in scopes:
            budget = self._guards[scope].budget
            if budget is not None:
                yield scope, budget, self.tallies[scope]


def _buried(decision: Decision, reason: str) -> Decision:
    return Decision(Kind.DEAD_LETTER, decision.why._replace(reason=reason))


def circuits_of(tallies: Mapping[Scope, Tally]) -> dict[Scope, Circuit]:
    """Return how breakers stand, for a `Gate`."""
    return {scope: tally.circuit for scope, tally in tallies.items() if tally.circuit is not None}


def kept(tally: Tally, before: Limit, after: Limit) -> Tally:
    """Return what stays of a scope's `tally` where `after` is put in force in the place of `before`."""
    return Tally(
        tally.purse if after.budget == before.budget else None,
        tally.circuit if after.breaker == before.breaker else None,
    )


def guarded(limit: Limit, budget: Budget | None, breaker: Breaker | None) -> Limit:
    """Return `limit` with a budget and a breaker, where it has none of its own."""
    if (limit.budget or budget, limit.breaker or breaker) == (limit.budget, limit.breaker):
        return limit
    return replace(limit, budget=limit.budget or budget, breaker=limit.breaker or breaker)


def written(guard: Budget | Breaker | None) -> str | None:
    """Return `guard` as JSON text that `budget_of` or `breaker_of` reads back, times in microseconds."""
    return None if guard is None else json.dumps({f.name: getattr(guard, f.name) for f in fields(guard)})


def budget_of(text: str | None) -> Budget | None:
    """Return the budget that `written` has written."""
    return None if text is None else Budget(**_values(text))


def breaker_of(text: str | None) -> Breaker | None:
    """Return the breaker that `written` has written."""
    return None if text is None else Breaker(**_values(text))


_TIMES: Final = ("ttl", "window", "open_for")


def _values(text: str) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(text)
    return {name: Duration(v) if name in _TIMES and v is not None else v for name, v in values.items()}


def tally_text(tally: Tally) -> str:
    """Return `tally` as JSON text that `tally_of` reads back."""
    return json.dumps(tally, separators=(",", ":"))


def tally_of(text: str | None) -> Tally:
    """Return the tally that `tally_text` has written; `None`: none has begun."""
    if text is None:
        return Tally()
    purse, circuit = json.loads(text)
    if purse is not None:
        balance, at, recent = purse
        purse = Purse(balance, at, _window(recent))
    if circuit is not None:
        until, passed, calls, failed = circuit
        circuit = Circuit(until, passed, _window(calls), _window(failed))
    return Tally(purse, circuit)


def _window(parts: list[Any]) -> Window:
    slot, sums = parts
    return Window(slot, tuple(sums))
