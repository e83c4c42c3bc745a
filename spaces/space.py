"""The set of recipes that a study searches."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from largebatch.spaces.domain import Choice, Domain, Range, Value
from largebatch.spaces.nearest import nearest
from largebatch.spaces.recipe import Recipe
from pydantic import RootModel, ValidationError, model_validator

_INTEGERS = (
    "global_batch_size",
    "norm_batch_size",
    "num_workers",
    "warmup_steps",
    "horizon_examples",
    "seed",
)


class Space(RootModel[dict[str, Domain]]):
    """A domain for each searched field of ``Recipe``, in the study file's order.

    ``global_batch_size`` must take finitely many values (``choices``, or scale ``log2``), for they are what the laws
    compare. A domain with ``when`` exists only under the named values of another, unconditional choice.
    """

    model_config = {"frozen": True}

    @model_validator(mode="after")
    def _consistent(self) -> "Space":
        domains = self.root
        for name in domains:
            if name not in Recipe.model_fields:
                raise ValueError(f"{name!r} is not a hyper-parameter{nearest(name, Recipe.model_fields)}")
        for name in ("global_batch_size", "learning_rate"):
            if name not in domains:
                raise ValueError(f"a space must hold global_batch_size and learning_rate; {name} is missing")
        if domains["global_batch_size"].values() is None:
            raise ValueError(
                "global_batch_size must take finitely many values: use scale: log2, or choices: [32, 64, ..]"
            )
        for name, domain in domains.items():
            self._check_condition(name, domain)
        self._check_values()
        return self

    def _check_condition(self, name: str, domain: Domain) -> None:
        for parent, allowed in (domain.when or {}).items():
            if parent not in self.root:
                raise ValueError(f"{name}.when names {parent!r}, which the space lacks{nearest(parent, self.root)}")
            if self.root[parent].when is not None:
                raise ValueError(f"{name}.when names {parent!r}, which has a `when` itself: conditions do not nest")
            for value in allowed:
                if not self.root[parent].contains(value):
                    raise ValueError(f"{name}.when asks for {parent}: {value!r}, which {parent} cannot take")

    def _check_values(self) -> None:
        """Try both ends of each domain in a recipe, so that a wrong bound is refused before anything runs."""
        for name, domain in self.root.items():
            for value in domain.grid(2):
                try:
                    Recipe.model_validate(
                        {"global_batch_size": 1, "learning_rate": 1.0, name: self._typed(name, value)}
                    )
                except ValidationError as error:
                    first = error.errors()[0]
                    if name in first["loc"]:
                        raise ValueError(f"{name}: {value!r} is not a valid value: {first['msg']}") from error

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

    def active(self, values: Mapping[str, Value]) -> list[str]:
        """Names of the domains that exist given the values of the unconditional ones."""
        return [
            name
            for name, domain in self.root.items()
            if all(values[parent] in allowed for parent, allowed in (domain.when or {}).items())
        ]

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

    def undivided(self, workers: Sequence[int]) -> list[int]:
        """The worker counts that divide no global batch size of the space."""
        return [count for count in workers if all(size % count for size in self.batch_sizes)]

    @staticmethod
    def _typed(name: str, value: Value) -> Value:
        return round(value) if name in _INTEGERS and isinstance(value, float) else value


__all__ = ["Choice", "Range", "Space"]
