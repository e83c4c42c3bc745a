"""The set of recipes that a study searches."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_origin

from pydantic import ConfigDict, RootModel, TypeAdapter, ValidationError, model_validator

from largebatch.spaces.domain import Choice, Domain, Range, Value, fixed
from largebatch.spaces.nearest import nearest
from largebatch.spaces.problems import Problems
from largebatch.spaces.recipe import OPTIMIZERS, TASK_OPTION, WARMUPS, Recipe

_INTEGERS = (
    *("global_batch_size", "norm_batch_size", "base_batch_size", "warmup_steps", "patience_evaluations"),
    *("averaging_examples", "averaging_evaluations", "horizon_examples", "seed"),
)
_REQUIRED = ("global_batch_size", "learning_rate")
_NAMES = tuple(name for name in Recipe.model_fields if name != "num_workers")
"""What can be searched. Worker counts are the study's question, not a choice of the searcher."""

MAX_EXTRAPOLATION = 16
"""Up to so many times the largest batch size are planned, where so many workers need it."""

_SUITS_ANY: dict[str, Value] = {"global_batch_size": 1, "learning_rate": 1.0, "norm_batch_size": 1}
"""A recipe in which any one field can be tried by itself."""

_DOMAIN: TypeAdapter[Domain] = TypeAdapter(Domain)


class Space(RootModel[dict[str, Domain]]):
    """A domain for each searched field of ``Recipe``, in the study file's order.

    ``global_batch_size`` must take finitely many values (``choices``, or scale ``log2``), for they are what the laws
    compare. A domain with ``when`` exists only under the named values of another, unconditional choice. Every recipe
    of a valid space can be built. ``momentum: 0.9`` is short for one choice. ``task.NAME`` is the keyword argument
    ``NAME`` of the task's function.
    """

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _each(cls, data: Any) -> Any:
        """Each domain by itself, so that one mistake does not hide another."""
        if not isinstance(data, dict):
            return data
        problems = Problems()
        domains: dict[str, Domain] = {}
        for name, value in data.items():
            if not _is_searched(str(name)):
                problems.add((str(name),), _not_searched(str(name)))
            elif (domain := _domain(name, value, problems)) is not None:
                domains[name] = domain
        unknown = " ".join(_not_searched(str(name)) for name in data if not _is_searched(str(name)))
        for name in _REQUIRED:
            if name not in data and f"did you mean {name!r}" not in unknown:
                problems.add((), f"a space must hold global_batch_size and learning_rate; {name} is missing")
        if problems:
            raise problems.error(cls.__name__)
        return domains

    @model_validator(mode="after")
    def _together(self) -> "Space":
        problems = Problems()
        for name, domain in self.root.items():
            self._check_condition(name, domain, problems)
        for name in ("global_batch_size", "norm_batch_size"):
            if name in self.root and self.root[name].values() is None:
                problems.add((name,), "must take finitely many values; use scale: log2, or choices: [32, 64, ..]")
        if not problems:
            self._check_recipes(problems)
        if problems:
            raise problems.error(type(self).__name__)
        return self

    def _check_condition(self, name: str, domain: Domain, problems: Problems) -> None:
        if domain.when is not None and name in _REQUIRED:
            problems.add((name, "when"), f"every recipe has a {name}; drop the `when`")
            return
        for parent, allowed in (domain.when or {}).items():
            path, choice = (name, "when", parent), self.root.get(parent)
            if choice is None:
                problems.add(path, f"`when` must name what the space holds; got {parent!r}{nearest(parent, self.root)}")
            elif choice.when is not None:
                problems.add(path, f"conditions do not nest, and {parent} has a `when` itself; drop one of the two")
            elif choice.values() is None:
                problems.add(path, f"`when` must name a choice, and {parent} is a range; give it choices: [..]")
            else:
                for value in allowed:
                    if not choice.contains(value):
                        problems.add(path, f"{parent} never is {value!r}; drop it, or add it to {parent}")

    def _check_recipes(self, problems: Problems) -> None:
        """Whether batch sizes are whole numbers of groups, and no two ways of saying the warm-up meet."""
        for size, norm in self.batches:
            if size > norm and size % norm:
                problems.add(
                    ("global_batch_size",),
                    f"a batch size above norm_batch_size must be a multiple of it; got {size} with {norm}; "
                    f"drop {size}, or choose another norm_batch_size",
                )
        for values in self._combinations(*WARMUPS):
            if len(values) > 1:
                both = list(values)
                problems.add((both[-1],), f"a recipe can have {' or '.join(both)}, not both; drop one")
                break

    def _combinations(self, *names: str) -> Iterator[dict[str, Value]]:
        """Every way in which some domains can take values together; of a range one value stands for all."""
        present = [name for name in names if name in self.root]
        parents = {parent for name in present for parent in self.root[name].when or {}}
        domains = {name: self.root[name] for name in (*present, *sorted(parents - set(present)))}
        for combination in itertools.product(*(domain.grid(1) for domain in domains.values())):
            values = dict(zip(domains, combination, strict=True))
            yield {name: values[name] for name in present if _exists(self.root[name], values)}

    @property
    def batches(self) -> tuple[tuple[int, int], ...]:
        """All pairs of global batch size and ``norm_batch_size``, ascending."""
        default = Recipe.model_fields["norm_batch_size"].default
        pairs = self._combinations("global_batch_size", "norm_batch_size")
        return tuple(
            sorted({(int(one["global_batch_size"]), int(one.get("norm_batch_size", default))) for one in pairs})
        )

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """All global batch sizes, ascending."""
        values = self.root["global_batch_size"].values()
        assert values is not None
        return tuple(sorted(int(value) for value in values))

    @property
    def varying(self) -> dict[str, Domain]:
        """The domains with more than one value."""
        return {name: domain for name, domain in self.root.items() if len(domain.grid(2)) > 1}

    @property
    def recipe_names(self) -> list[str]:
        """The values of a recipe that somebody may name: all fields but the workers, and the task's options here."""
        return list(dict.fromkeys([*_NAMES, *self.root]))

    @property
    def task_options(self) -> list[str]:
        """The keyword arguments of the task's function that the study names."""
        return [name.removeprefix("task.") for name in self.root if TASK_OPTION.fullmatch(name)]

    def active(self, values: Mapping[str, Value]) -> list[str]:
        """Names of the domains that exist given the values of the unconditional ones."""
        return [name for name, domain in self.root.items() if _exists(domain, values)]

    def recipe(self, values: Mapping[str, Value]) -> Recipe:
        """The recipe with the active values; inactive ones keep the recipe's defaults.

        Raises:
            ValidationError: where the values do not fit together (a local batch that its groups do not divide).
        """
        chosen: dict[str, Any] = {name: self._typed(name, values[name]) for name in self.active(values)}
        return Recipe.model_validate(chosen)

    def from_unit(self, units: Mapping[str, float]) -> Recipe:
        """The recipe at a point of the unit cube, one coordinate a domain."""
        return self.recipe({name: domain.from_unit(units[name]) for name, domain in self.root.items()})

    def typical(self) -> Recipe:
        """The recipe in the middle of every domain."""
        return self.from_unit(dict.fromkeys(self.root, 0.5))

    def completed(self, values: Mapping[str, Value]) -> Recipe:
        """The recipe with ``values``, which need not lie in their domains, and the middle of every other domain.

        Raises:
            ValidationError: for a value that no recipe can have.
        """
        base = self.typical().model_dump()
        if any(name in values for name in WARMUPS):
            base = {name: value for name, value in base.items() if name not in WARMUPS}
        return Recipe.model_validate({**base, **values})

    def grid(self, points_per_range: int) -> Iterator[Recipe]:
        """Every combination of evenly spaced values, without the doubles that inactive domains would make."""
        seen: set[Recipe] = set()
        for combination in itertools.product(*(domain.grid(points_per_range) for domain in self.root.values())):
            recipe = self.recipe(dict(zip(self.root, combination, strict=True)))
            if recipe not in seen:
                seen.add(recipe)
                yield recipe

    def contains(self, recipe: Recipe) -> bool:
        """Whether every active value of ``recipe`` lies in its domain."""
        values = recipe.model_dump()
        return all(self.root[name].contains(values[name]) for name in self.active(values))

    @property
    def most_workers(self) -> int:
        """The most that a plan can serve: each has a whole group of a batch that is not too far from the searched."""
        return max(MAX_EXTRAPOLATION * size // min(norm, size) for size, norm in self.batches)

    @staticmethod
    def _typed(name: str, value: Value) -> Value:
        return round(value) if name in _INTEGERS and isinstance(value, float) else value


def _exists(domain: Domain, values: Mapping[str, Value]) -> bool:
    return all(values[parent] in allowed for parent, allowed in (domain.when or {}).items())


def _is_searched(name: str) -> bool:
    return name in _NAMES or TASK_OPTION.fullmatch(name) is not None


def _not_searched(name: str) -> str:
    if name == "num_workers":
        return "num_workers is not searched; the study's `workers` lists the worker counts"
    return f"unknown hyper-parameter {name!r}{nearest(name, _NAMES)}"


def _domain(name: str, value: Any, problems: Problems) -> Domain | None:
    """The domain of a hyper-parameter with its values in the recipe's own types, or None and a problem."""
    if isinstance(value, bool | int | float | str):
        value = fixed(value)
    if not isinstance(value, dict | Range | Choice):
        shown = "nothing" if value is None else repr(value)[:60]
        problems.add((name,), f"must be a value, or {{low: .., high: ..}}, or {{choices: [..]}}; got {shown}")
        return None
    try:
        domain = _DOMAIN.validate_python(value)
    except ValidationError as error:
        problems.add_all((name,), error)
        return None
    if isinstance(domain, Choice):
        choices = tuple(_recipe_value(name, one, ("choices", k), problems) for k, one in enumerate(domain.choices))
        return None if None in choices else domain.model_copy(update={"choices": tuple(dict.fromkeys(choices))})
    if name in Recipe.model_fields and get_origin(Recipe.model_fields[name].annotation) is Literal:
        problems.add((name,), f"low and high are for numbers, and {name} is not one; use choices: [..]")
        return None
    ends = [_recipe_value(name, getattr(domain, end), (end,), problems) for end in ("low", "high")]
    return None if None in ends else domain


def _recipe_value(name: str, value: Value, path: tuple[str | int, ...], problems: Problems) -> Value | None:
    """A value as the recipe holds it (``"1e-4"`` becomes a number), or None and a problem."""
    if name == "optimizer" and value not in OPTIMIZERS:
        problems.add((name, *path), f"unknown optimizer {value!r}{nearest(str(value), OPTIMIZERS)}")
    elif isinstance(value, bool) and name in _NAMES:
        problems.add((name, *path), f"must be a number or a name; got {str(value).lower()}")
    else:
        try:
            recipe = Recipe.model_validate({**_SUITS_ANY, name: value})
        except ValidationError as error:
            problems.add_field((name, *path), error, name)
            return None
        typed: Value = getattr(recipe, name)
        return typed
    return None
