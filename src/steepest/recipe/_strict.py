"""Base classes of the tables of a recipe: unknown keys are errors, values are immutable."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_serializer, model_validator


class Strict(BaseModel):
    """A table with exactly the keys it declares."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, strict=True)


class Named(Strict):
    """A table with a name and options, which may be written as its name alone.

    ``optimizer = "adam"`` is short for ``optimizer = {name = "adam"}``. The short form is also
    written if all options have their defaults.
    """

    @model_validator(mode="before")
    @classmethod
    def _from_bare_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @model_serializer(mode="wrap")
    def _to_bare_name(self, handler: Any) -> Any:
        values = handler(self)
        name = values["name"]
        options = {key: value for key, value in values.items() if key in self._changed()}
        return {"name": name, **options} if options else name

    def _changed(self) -> set[str]:
        fields = type(self).model_fields
        return {
            key for key in fields if key != "name" and getattr(self, key) != fields[key].default
        }
