"""One step ready to run: its expressions compiled, and which results they read."""

from collections.abc import Mapping
from typing import Any

from wsaios.kernel.errors import ExpressionFailed
from wsaios.kernel.expression import Expression, Expressions
from wsaios.kernel.json_value import JsonValue
from wsaios.planning.workflow.definition import Step
from wsaios.planning.workflow.template import expressions_in, filled, prepared

Context = Mapping[str, JsonValue]


class Prepared:
    """A step whose expressions are compiled.

    `reads` are the ids of the steps whose result or state they read; of these, `argument_reads` those for its
    arguments, `filter_reads` those for its filter.
    """

    def __init__(self, step: Step, language: Expressions) -> None:
        """Compile.

        Raises:
            InvalidExpression: never for a step of a plan that was checked with the same language.
        """
        compiled = language.compile
        self.step = step
        self._when = compiled(step.when) if step.when else None
        self._foreach = compiled(step.foreach) if step.foreach else None
        wait_for = step.wait_for
        self._filter = compiled(wait_for.filter) if wait_for is not None and wait_for.filter else None
        self._args = prepared(step.args, compiled)
        http = step.http
        call = {} if http is None else {"url": http.url, "json": http.json, "params": http.params}
        self._http = prepared({name: value for name, value in call.items() if value is not None}, compiled)
        alone = [each for each in (self._when, self._foreach, self._filter) if each is not None]
        filled_in = [*expressions_in(self._args), *expressions_in(self._http)]
        self.argument_reads = reads(filled_in)
        self.filter_reads = reads([] if self._filter is None else [self._filter])
        self.reads = reads([*alone, *filled_in]) if alone else self.argument_reads

    def runs(self, context: Context) -> bool:
        """Whether the step runs, else it is skipped.

        Raises:
            ExpressionFailed: `when` has no value, or one that is neither true nor false.
        """
        return self._when is None or _truth(self._when, context, "when")

    def items(self, context: Context) -> list[JsonValue] | None:
        """What it runs for, once each; None: it runs once, without an item.

        Raises:
            ExpressionFailed: `foreach` has no value, or one that is no list.
        """
        if self._foreach is None:
            return None
        value = self._foreach.evaluate(context)
        if not isinstance(value, list):
            raise ExpressionFailed(self._foreach.source, f"foreach needs a list, not {type(value).__name__}")
        return value

    def heard(self, data: JsonValue) -> JsonValue:
        """The event that the step waits for, as its expressions read it."""
        wait_for = self.step.wait_for
        return {"name": "" if wait_for is None else wait_for.event, "data": data}

    def takes(self, context: Context) -> bool:
        """Whether the event in `context` is one that the step waits for.

        Raises:
            ExpressionFailed: the filter has no value, or one that is neither true nor false.
        """
        return self._filter is None or _truth(self._filter, context, "a filter")

    def arguments(self, context: Context) -> dict[str, Any]:
        """The arguments of its handler or model; for `http` those of the handler `api`.

        `context` has input, steps and run; with foreach also item and index, with wait_for also event.

        Raises:
            ExpressionFailed: an expression in them has no value.
        """
        http = self.step.http
        if http is None:
            found: dict[str, Any] = filled(self._args, context)  # type: ignore[assignment]  # a dict stays one
            return found
        call: dict[str, Any] = filled(self._http, context)  # type: ignore[assignment]  # the same
        call["method"] = http.method
        call["allow_private"] = http.allow_private
        return call


class Output:
    """What a run gives back; `reads` are the ids of the steps that it reads."""

    def __init__(self, value: Any, language: Expressions) -> None:
        self._value = prepared(value, language.compile)
        self.reads = reads(expressions_in(self._value))

    def value(self, context: Context) -> JsonValue:
        """The value over input, steps and run.

        Raises:
            ExpressionFailed: an expression in it has no value.
        """
        return filled(self._value, context)


def reads(expressions: Any) -> frozenset[str]:
    """The ids of the steps that expressions read."""
    every = (reference.path for expression in expressions for reference in expression.references)
    return frozenset(path[1] for path in every if path[0] == "steps" and len(path) > 1)


def _truth(expression: Expression, context: Context, what: str) -> bool:
    value = expression.evaluate(context)
    if not isinstance(value, bool):
        raise ExpressionFailed(expression.source, f"{what} needs true or false, not {type(value).__name__}")
    return value
