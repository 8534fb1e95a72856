"""``wsaios simulate``: what a policy would have done to a recorded trace."""

from typing import Final

from wsaios.cli.request import command_of
from wsaios.cli.simulation_options import Request


def _simulate(request: Request) -> None:
    """Run the scheduler itself in virtual time over a recorded trace, and say what each policy does to it."""
    from wsaios.cli.simulated import simulate as run

    run(request)


simulate: Final = command_of(_simulate, Request, "simulate")
