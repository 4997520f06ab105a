"""Those who enqueue, and do not wait for ever."""

from jobsim.models.base import Model
from jobsim.models.fields import Count, PositiveField


class Resubmit(Model):
    """A client that enqueues its job again where it has not succeeded `after` so long, up to `times`.

    It looks `after` so long since the last time. All that it enqueued may run: what it gets for its
    impatience are duplicates.
    """

    after: PositiveField
    times: Count = 1
