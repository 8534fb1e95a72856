"""How many calls a service takes at a time, found out from what it refuses."""

from wsaios.kernel.limit import Learn

_ROOM_LEFT = 1.0


class Learner:
    """Additive increase, multiplicative decrease, once for each round.

    A success adds 1/allowed while the limit is made use of, so that a whole round adds one. A refusal cuts it; others
    of calls that began before the cut say nothing new, as in congestion control (Jacobson, "Congestion Avoidance and
    Control", 1988). Until the time that the service asked to wait (`Retry-After`, RFC 9110, section 10.2.3) nothing
    starts. What was learned is not kept: after a restart it begins anew.
    """

    __slots__ = ("_allowed", "_cut_us", "closed_us", "how")

    def __init__(self, how: Learn) -> None:
        self.how = how
        self._allowed = float(min(how.most, max(how.least, how.start)))
        self._cut_us = -1
        self.closed_us = 0

    @property
    def allowed(self) -> int:
        """How many may run at a time."""
        return int(self._allowed)

    def succeeded(self, running: int) -> None:
        """A call ended well, while so many ran with it."""
        if running + _ROOM_LEFT >= self._allowed:
            self._allowed = min(float(self.how.most), self._allowed + 1.0 / self._allowed)

    def refused(self, began_us: int, now_us: int, wait_us: int) -> None:
        """The service refused a call that began then, and asked to wait so long."""
        self.closed_us = max(self.closed_us, now_us + wait_us)
        if began_us > self._cut_us:
            self._allowed = max(float(self.how.least), self._allowed * self.how.cut)
            self._cut_us = now_us

    def inherit(self, old: "Learner") -> None:
        """Go on with what another one has learned."""
        if old.how == self.how:
            self._allowed, self._cut_us, self.closed_us = old._allowed, old._cut_us, old.closed_us  # noqa: SLF001  # of its own class
