"""What a batch system is asked for, whichever it is."""

import re
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    model_validator,
)

_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d)")
_DAYS = re.compile(r"(\d+)-(\d+)(?::(\d\d))?(?::(\d\d))?")
_TWO_NUMBERS = re.compile(r"(\d+):(\d+)")


def _seconds(value: object, info: ValidationInfo) -> object:
    """``4:00:00`` (hours, minutes, seconds), ``90`` (minutes), ``1-12`` or ``1-12:30:00`` (days, hours, ..) as seconds.

    What two batch systems read differently is refused: ``30:00`` (``sbatch``: minutes and seconds; ``bsub``: hours and
    minutes), and, where the context names PBS as the ``system``, ``90`` (``qsub``: seconds).
    """
    if not isinstance(value, str):
        raise ValueError(f"a time must be text such as '4:00:00'; got {value!r}")
    text = value.strip()
    if pair := _TWO_NUMBERS.fullmatch(text):
        first, second = int(pair[1]), int(pair[2])
        short, long = 60 * first + second, 3600 * first + 60 * second
        raise ValueError(
            f"{text} is {_in_words(short)} to sbatch and qsub and {_in_words(long)} to bsub; write {_clock(short)} or "
            f"{_clock(long)}"
        )
    if text.isdecimal():
        if info.context == "pbs":
            raise ValueError(
                f"{text} is {text} seconds to qsub and {text} minutes to sbatch and bsub; write {_clock(int(text))} or "
                f"{_clock(60 * int(text))}"
            )
        days, hours, minutes, seconds = 0, 0, int(text), 0
    elif found := _CLOCK.fullmatch(text) or _DAYS.fullmatch(text):
        days, hours, minutes, seconds = (int(part or 0) for part in ("0", *found.groups())[-4:])
    else:
        raise ValueError(f"a time must be H:MM:SS, minutes, D-HH or D-HH:MM:SS; got {value!r}")
    if (minutes > 59 and not text.isdecimal()) or seconds > 59:
        raise ValueError(f"minutes and seconds must be below 60; got {value!r}")
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if not total:
        raise ValueError("a time must be longer than nothing")
    return total


def _clock(seconds: int) -> str:
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _in_words(seconds: int) -> str:
    parts = ((seconds // 3600, "h"), (seconds // 60 % 60, "min"), (seconds % 60, "s"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "nothing"


def _one_word(value: str) -> str:
    if not re.fullmatch(r"[\w.+:/@%-]+", value):
        raise ValueError(f"a name has letters, digits and . + : / @ % - _ alone; got {value!r}")
    return value


def _one_line(value: str) -> str:
    if "\n" in value or not value.strip():
        raise ValueError(f"must be one line of text; got {value!r}")
    return value


Seconds = Annotated[int, BeforeValidator(_seconds)]
Word = Annotated[str, AfterValidator(_one_word)]
Line = Annotated[str, AfterValidator(_one_line)]


class Allocation(BaseModel):
    """Nodes for a time; the fields are the options of ``largebatch cluster`` and the keys of a site's file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Word = "largebatch"
    nodes: int = Field(1, ge=1)
    gpus_per_node: int = Field(0, ge=0)
    cpus_per_node: int | None = Field(None, ge=1)
    """None: all that a node has."""
    time: Seconds | None = None
    """Seconds; None: the queue's own limit."""
    queue: Word | None = None
    """Slurm's partition."""
    account: Word | None = None
    prologue: tuple[str, ...] = ()
    """Lines of shell before Ray starts, as in ``module load cuda``."""
    directives: tuple[Line, ...] = ()
    """Further requests, as the batch system writes them: ``--mem=0``, ``-l filesystems=home``."""
    interface: Word | None = None
    """The network interface that the nodes talk over."""
    container: Line | None = None
    """An Apptainer image that holds Python and largebatch."""
    min_nodes: int | None = Field(None, ge=1)
    """Start with so many where the others do not come up; None: all must."""
    requeues: int = Field(20, ge=0)
    """How often a study that saved itself before the end of its time is put back into the queue."""
    warning_seconds: int = Field(120, ge=10)
    """How long before the end the command is told to save and leave."""
    jsrun: bool = False
    """LSF alone: the nodes are started by ``jsrun``, not by ``blaunch``."""

    @model_validator(mode="after")
    def _check(self) -> "Allocation":
        if self.min_nodes is not None and self.min_nodes > self.nodes:
            raise ValueError(f"min_nodes must be at most nodes; got {self.min_nodes} of {self.nodes}")
        if self.time is not None and self.time <= 2 * self.warning_seconds:
            raise ValueError(
                f"time must be more than twice warning_seconds, or nothing would be done; got {self.time} s and "
                f"{self.warning_seconds} s"
            )
        return self
