"""The conformance suite: what every store must do, as small tests that a third party's store takes over.

    class TestMyStorage(StorageConformance):
        def make_storage(self, tmp_path):
            return MyStorage(tmp_path / "jobs")

runs them all under pytest; it needs pytest and Hypothesis. The rules are those of `jobsim.storage.base`.
"""

import pytest

_GROUPS = (
    *("enqueue", "claim", "settle", "exchange", "lease", "operator", "reading", "history"),
    *("unique", "rates", "limits", "guards", "pause", "prune"),
)
pytest.register_assert_rewrite(*(f"jobsim.testing.conformance_{group}" for group in _GROUPS))

from jobsim.testing.conformance_claim import ClaimRules  # noqa: E402  # asserts explain themselves only so
from jobsim.testing.conformance_enqueue import EnqueueRules  # noqa: E402
from jobsim.testing.conformance_exchange import ExchangeRules  # noqa: E402
from jobsim.testing.conformance_guards import GuardRules  # noqa: E402
from jobsim.testing.conformance_history import HistoryRules  # noqa: E402
from jobsim.testing.conformance_lease import LeaseRules  # noqa: E402
from jobsim.testing.conformance_limits import LimitRules  # noqa: E402
from jobsim.testing.conformance_operator import OperatorRules  # noqa: E402
from jobsim.testing.conformance_pause import PauseRules  # noqa: E402
from jobsim.testing.conformance_prune import PruneRules  # noqa: E402
from jobsim.testing.conformance_reading import ReadingRules  # noqa: E402
from jobsim.testing.conformance_settle import SettleRules  # noqa: E402
from jobsim.testing.conformance_unique import UniqueRules  # noqa: E402

__all__ = ["StorageConformance"]


class StorageConformance(
    EnqueueRules,
    UniqueRules,
    ClaimRules,
    LimitRules,
    GuardRules,
    PauseRules,
    SettleRules,
    ExchangeRules,
    LeaseRules,
    OperatorRules,
    PruneRules,
    ReadingRules,
    HistoryRules,
):
    """All rules. A subclass gives `make_storage`; `reopens` says whether jobs outlive their store."""
