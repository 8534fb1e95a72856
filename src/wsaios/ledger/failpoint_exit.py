from wsaios.kernel.failpoints import Failpoint, nothing
def from_environment(value: str | None) -> Failpoint:
    return nothing
