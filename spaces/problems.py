"""Several mistakes of one value, each at its own place, raised at once."""

from pydantic import ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails

KeyPath = tuple[str | int, ...]


def first_problem(error: ValidationError) -> str:
    """The first mistake in a sentence, after the field that has it."""
    first = error.errors()[0]
    where = f"{first['loc'][0]}: " if first["loc"] else ""
    return f"{where}{first['msg'].removeprefix('Value error, ')}"


class Problems:
    """Mistakes collected while a value is checked; a validator raises ``error`` and pydantic puts it in its place."""

    def __init__(self) -> None:
        self._details: list[InitErrorDetails] = []

    def __bool__(self) -> bool:
        return bool(self._details)

    def add(self, path: KeyPath, sentence: str, value: object = None) -> None:
        """A mistake at ``path`` inside the value."""
        context = {"error": ValueError(sentence)}
        self._details.append({"type": "value_error", "loc": path, "input": value, "ctx": context})

    def add_all(self, path: KeyPath, error: ValidationError) -> None:
        """The mistakes of an inner value that stands at ``path``."""
        for detail in error.errors():
            self._again((*path, *detail["loc"]), detail)

    def add_field(self, path: KeyPath, error: ValidationError, name: str) -> None:
        """The mistakes of one field of a model that was tried with the value at ``path``."""
        for detail in error.errors():
            if detail["loc"][:1] == (name,):
                self._again(path, detail)

    def _again(self, path: KeyPath, detail: ErrorDetails) -> None:
        again: InitErrorDetails = {"type": detail["type"], "loc": path, "input": detail["input"]}
        if "ctx" in detail:
            again["ctx"] = detail["ctx"]
        self._details.append(again)

    def error(self, title: str) -> ValidationError:
        """All mistakes as one error."""
        return ValidationError.from_exception_data(title, self._details)
