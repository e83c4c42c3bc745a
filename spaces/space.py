"""The set of recipes that a study searches."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from largebatch.spaces.domain import Domain, Value, fixed
from largebatch.spaces.nearest import nearest
from largebatch.spaces.recipe import OPTIMIZERS, OPTIMIZERS_NOT_BUILT, Recipe
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

    @model_validator(mode="before")
    @classmethod
    def _scalars(cls, data: Any) -> Any:
        """``momentum: 0.9`` is short for one choice."""
        if not isinstance(data, dict):
            return data
        return {
            name: fixed(value) if isinstance(value, bool | int | float | str) else value for name, value in data.items()
        }

    @model_validator(mode="after")
    def _consistent(self) -> "Space":
        domains = self.root
        for name in domains:
            if name not in Recipe.model_fields:
                raise ValueError(f"{name}: not a hyper-parameter{nearest(name, Recipe.model_fields)}")
        for name in ("global_batch_size", "learning_rate"):
            if name not in domains:
                raise ValueError(f"a space must hold global_batch_size and learning_rate; {name} is missing")
        if domains["global_batch_size"].values() is None:
            raise ValueError(
                "global_batch_size: must take finitely many values: use scale: log2, or choices: [32, 64, ..]"
            )
        for name, domain in domains.items():
            self._check_condition(name, domain)
            self._check_ends(name, domain)
        self._check_groups()
        return self

    def _check_condition(self, name: str, domain: Domain) -> None:
        for parent, allowed in (domain.when or {}).items():
            if parent not in self.root:
                raise ValueError(f"{name}: its `when` names {parent!r}, which the space lacks{nearest(parent, self.root)}")
            if self.root[parent].when is not None:
                raise ValueError(f"{name}: its `when` names {parent!r}, which has a `when` itself: conditions do not nest")
            for value in allowed:
                if not self.root[parent].contains(value):
                    raise ValueError(f"{name}: its `when` asks for {parent}: {value!r}, which {parent} cannot take")

    def _check_ends(self, name: str, domain: Domain) -> None:
        """Try a domain's values in a recipe, so that a wrong one is refused before anything runs."""
        for value in domain.grid(2):
            if name == "optimizer" and value in OPTIMIZERS_NOT_BUILT:
                raise ValueError(f"optimizer: {value} is not built yet; built: {', '.join(OPTIMIZERS)}")
            if name == "optimizer" and value not in OPTIMIZERS:
                raise ValueError(f"optimizer: unknown optimizer {value!r}{nearest(str(value), OPTIMIZERS)}")
            try:
                Recipe.model_validate({"global_batch_size": 1, "learning_rate": 1.0, name: self._typed(name, value)})
            except ValidationError as error:
                for problem in error.errors():
                    if name in problem["loc"]:
                        raise ValueError(f"{name}: cannot be {value!r}: {_lower(problem['msg'])}") from error

    def _check_groups(self) -> None:
        """Every batch size must be a whole number of groups that share batch statistics."""
        for norm in self.norm_batch_sizes:
            for size in self.batch_sizes:
                if size > norm and size % norm:
                    raise ValueError(
                        f"global_batch_size: {size} is above norm_batch_size ({norm}) but no multiple of it; "
                        f"drop it, or choose another norm_batch_size"
                    )

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """All global batch sizes, ascending."""
        values = self.root["global_batch_size"].values()
        assert values is not None
        return tuple(sorted(int(value) for value in values))

    @property
    def norm_batch_sizes(self) -> tuple[int, ...]:
        """All values of ``norm_batch_size``, or the ends of its range; the recipe's default where it is not searched."""
        domain = self.root.get("norm_batch_size")
        if domain is None:
            default: int = Recipe.model_fields["norm_batch_size"].default
            return (default,)
        return tuple(sorted(round(float(value)) for value in domain.grid(2)))

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

    def divides(self, num_workers: int) -> bool:
        """Whether some batch size can be dealt to ``num_workers`` in whole groups."""
        norm = self.norm_batch_sizes[0]
        return any(
            size % num_workers == 0 and size // num_workers % min(norm, size) == 0 for size in self.batch_sizes
        )

    @staticmethod
    def _typed(name: str, value: Value) -> Value:
        return round(value) if name in _INTEGERS and isinstance(value, float) else value


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
