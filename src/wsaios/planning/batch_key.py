"""What makes two runs of a batch the same batch."""

import collections.abc
import hashlib
import json
from typing import Final

from wsaios.planning.mapping import Mapping

_VERSION: Final = 1


def batch_key(
    *,
    content_digest: str,
    mapping: Mapping,
    id_column: str | None,
    handler: str,
    options: collections.abc.Mapping[str, object],
    limit: int | None,
) -> str:
    """The identity of a batch, in hex: equal for equal content and meaning, whatever the order of mapping and options.

    An option that is None counts as not given, so that a new option leaves old keys as they are.
    Raises: TypeError or ValueError for options that are not JSON.
    """
    identity = {
        "version": _VERSION,
        "content": content_digest,
        "mapping": dict(mapping.pairs),
        "id": id_column,
        "handler": handler,
        "options": {name: value for name, value in options.items() if value is not None},
        "limit": limit,
    }
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
