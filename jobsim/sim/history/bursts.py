"""Arrivals in bursts: a Poisson process whose rate changes at random between two, fitted to counts."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Floats = NDArray[np.float64]

_ROUNDS: Final = 100
_CLOSE: Final = 1e-6
_LEAST: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Bursts:
    """An MMPP-2: its `rates` a second, low and high, how long each holds on average, and how likely it is."""

    rates: tuple[float, float]
    sojourns_s: tuple[float, float]
    likelihood: float

    def gaps_within(self, gaps_s: Floats) -> Floats:
        """Return the probability of a gap at most as long as each of `gaps_s`.

        With the generator Q and the rates R of arrival, it is ``1 - p exp((Q - R) t) 1``, where p is how an
        arrival finds the process. Source: Fischer & Meier-Hellstern, "The Markov-modulated Poisson process
        (MMPP) cookbook", Performance Evaluation 18, 1993, section 2.
        """
        leave = np.array([1 / sojourn for sojourn in self.sojourns_s])
        moves = np.array([[-leave[0], leave[0]], [leave[1], -leave[1]]]) - np.diag(self.rates)
        found = np.array([leave[1] * self.rates[0], leave[0] * self.rates[1]])
        values, vectors = np.linalg.eig(moves)
        parts = (found / found.sum() @ vectors) * (np.linalg.inv(vectors) @ np.ones(2))
        within: Floats = 1 - np.real(np.exp(np.outer(gaps_s, values)) @ parts)
        return np.clip(within, 0, 1)


def fit_bursts(counts: Floats, width_s: float) -> Bursts:
    """Fit two rates to `counts` of arrivals in bins of `width_s`, between which a hidden chain moves.

    By expectation and maximisation, from the halves below and above the mean.
    Source: Rabiner, "A tutorial on hidden Markov models and selected applications in speech recognition",
    Proceedings of the IEEE 77, 1989, section III.
    """
    mean = counts.mean()
    means = np.array([counts[counts <= mean].mean(), counts[counts > mean].mean()])
    stay, start = np.array([[0.9, 0.1], [0.1, 0.9]]), np.array([0.5, 0.5])
    likelihood = -math.inf
    for _ in range(_ROUNDS):
        means = np.maximum(means, _LEAST)
        logs = counts[:, None] * np.log(means) - means - gammaln(counts + 1)[:, None]
        before, (likelihood, states, changes) = likelihood, _expected(logs, stay, start)
        means = states.T @ counts / np.maximum(states.sum(axis=0), _LEAST)
        stay = changes / np.maximum(changes.sum(axis=1, keepdims=True), _LEAST)
        start = states[0]
        if likelihood - before < _CLOSE * abs(likelihood):
            break
    order = np.argsort(means)
    leave = [max(float(stay[i, 1 - i]), _LEAST) for i in order]
    sojourns = [-width_s / math.log1p(-min(p, 1 - _LEAST)) for p in leave]
    rates = [max(float(means[i]) / width_s, 0.0) for i in order]
    return Bursts((rates[0], rates[1]), (sojourns[0], sojourns[1]), likelihood)


def _expected(logs: Floats, stay: Floats, start: Floats) -> tuple[float, Floats, Floats]:
    """Return the log likelihood, the probability of each state in each bin, and the expected changes.

    Forwards and backwards, scaled bin by bin; `logs` has the shape (bins, 2).
    """
    highest = logs.max(axis=1)
    emits = np.exp(logs - highest[:, None]).tolist()
    (p00, p01), (p10, p11) = stay.tolist()
    (a, b), scales, ahead = start.tolist(), [], []
    for place, (e0, e1) in enumerate(emits):
        if place:
            a, b = a * p00 + b * p10, a * p01 + b * p11
        a, b = a * e0, b * e1
        scale = a + b
        a, b = a / scale, b / scale
        scales.append(scale)
        ahead.append((a, b))
    c, d, behind = 1.0, 1.0, [(1.0, 1.0)]
    for (e0, e1), scale in zip(reversed(emits[1:]), reversed(scales[1:]), strict=True):
        c, d = (p00 * e0 * c + p01 * e1 * d) / scale, (p10 * e0 * c + p11 * e1 * d) / scale
        behind.append((c, d))
    forward, backward = np.array(ahead), np.array(behind[::-1])
    states = forward * backward
    after = np.array(emits)[1:] * backward[1:] / np.array(scales)[1:, None]
    changes = stay * (forward[:-1].T @ after)
    return float(np.log(scales).sum() + highest.sum()), states, changes
