"""The canonical form of a definition is what its version hashes: it must not move."""

import inspect

import msgspec

from wsaios.kernel.task import CallOptions, Options
from wsaios.planning.workflow.definition import Definition, Step, canonical, version_of

TEXT = b"""{"name":"n","steps":[
    {"max_attempts":5,"id":"a","handler":"h","delivery":"at_most_once","backoff_max_s":9},
    {"id":"b","depends_on":["a"],"model":"m"}
]}"""


def test_an_option_stands_in_a_step_under_its_name_and_in_a_ledger_at_its_place() -> None:
    definition = msgspec.json.decode(TEXT, type=Definition)
    assert canonical(definition) == (
        b'{"name":"n","steps":[{"backoff_max_s":9.0,"delivery":"at_most_once","handler":"h","id":"a","max_attempts":5},'
        b'{"depends_on":["a"],"id":"b","model":"m"}]}'
    )
    assert version_of(canonical(definition)) == "0776680a8d7325f4b1ba290326403daf904f3527585f6f33a5fcd78d34a65900"
    first, second = (step.options for step in definition.steps)
    assert msgspec.json.encode(first) == b'[5,null,null,null,9.0,"at_most_once",null,null,null]'
    assert second is None


def test_the_options_of_a_call_are_defined_once() -> None:
    assert "max_attempts" in CallOptions.__annotations__
    for kind in (Options, Step):
        assert issubclass(kind, CallOptions)
        assert CallOptions.__annotations__.keys().isdisjoint(inspect.get_annotations(kind))
