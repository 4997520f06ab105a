"""Closed forms of queueing theory for the engine to agree with. Rates are a second, times seconds."""

import math
from collections.abc import Sequence


def erlang_c(offered_load: float, servers: int) -> float:
    """Return the probability that an arrival at M/M/c has to wait.

    Source: Erlang (1917), by the recursion for his loss formula B, then C = B / (1 - rho (1 - B)).
    """
    blocking = 1.0
    for k in range(1, servers + 1):
        blocking = offered_load * blocking / (k + offered_load * blocking)
    return blocking / (1 - offered_load / servers * (1 - blocking))


def mean_wait(arrival_rate: float, service_rate: float, servers: int) -> float:
    """Return the mean time that an arrival at M/M/c waits before its service."""
    capacity = servers * service_rate
    return erlang_c(arrival_rate / service_rate, servers) / (capacity - arrival_rate)


def mean_wait_general(arrival_rate: float, mean_service_s: float, cv: float) -> float:
    """Return the mean wait at M/G/1, whose service times have the coefficient of variation `cv`.

    Source: Pollaczek (1930) and Khinchine (1932).
    """
    load = arrival_rate * mean_service_s
    return load * (1 + cv**2) / (2 * (1 - load)) * mean_service_s


def mean_attempts(failure: float, max_attempts: int) -> float:
    """Return the mean number of attempts of a job each of which fails with probability `failure`."""
    return float((1 - failure**max_attempts) / (1 - failure))


def mean_backoff(failure: float, delays_s: Sequence[float]) -> float:
    """Return the mean time that a job spends in backoff; ``delays_s[k - 1]`` is the mean before retry k."""
    return sum(failure**k * delay for k, delay in enumerate(delays_s, 1))


def all_fail_no_jitter(delays_s: Sequence[float], mean_remaining_s: float) -> float:
    """Return P(all attempts fail) in an outage whose remaining length is exponential.

    The last attempt starts after the sum of the delays T, so it is the transform E exp(-T / mean).
    """
    return math.exp(-sum(delays_s) / mean_remaining_s)


def all_fail_full_jitter(delays_s: Sequence[float], mean_remaining_s: float) -> float:
    """Return the same where each delay is uniform on [0, d)."""
    return math.prod(_uniform_transform(delay / mean_remaining_s) for delay in delays_s)


def all_fail_equal_jitter(delays_s: Sequence[float], mean_remaining_s: float) -> float:
    """Return the same where each delay is uniform on [d / 2, d)."""
    halves = [delay / 2 / mean_remaining_s for delay in delays_s]
    return math.prod(math.exp(-half) * _uniform_transform(half) for half in halves)


def _uniform_transform(x: float) -> float:
    """Return E exp(-U) for U uniform on [0, x)."""
    return -math.expm1(-x) / x


def mean_sojourn_with_retrials(arrival_rate: float, service_rate: float, retry_rate: float) -> float:
    """Return the mean time in an M/M/1 queue without room to wait, in which each job tries at its own rate.

    The mean number of jobs that will try again is ``rho^2 / (1 - rho) + lambda rho / ((1 - rho) nu)``.
    Source: Falin & Templeton, "Retrial Queues", 1997, section 1.2.
    """
    load = arrival_rate / service_rate
    orbit = (load**2 + arrival_rate * load / retry_rate) / (1 - load)
    return (orbit + load) / arrival_rate


def mean_sojourn_with_breakdowns(
    arrival_rate: float, service_rate: float, up_s: float, down_s: float
) -> float:
    """Return the mean time in an M/M/1 queue whose server breaks down; what was interrupted goes on.

    It works for an exponential time, mean `up_s`, busy or not, then stands for exactly `down_s`. A service
    with its interruptions is a service of M/G/1; beside the wait there, an arrival waits for what is left of
    a breakdown, if it finds one.
    Source: Gaver, "A waiting line with interrupted service, including priorities", JRSS B 24, 1962; Fuhrmann
    & Cooper, "Stochastic decompositions in the M/G/1 queue with generalized vacations", Operations Research
    33, 1985.
    """
    stretch = 1 + down_s / up_s
    mean = stretch / service_rate
    square = 2 * mean**2 + down_s**2 / up_s / service_rate
    wait = arrival_rate * square / (2 * (1 - arrival_rate * mean))
    return mean + wait + (1 - 1 / stretch) * down_s / 2
