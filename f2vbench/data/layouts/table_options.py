"""Options of the layout ``table``: files, columns, and what the cells of coded columns mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from f2vbench.data.label_classes import LabelClass
from f2vbench.data.layouts.options import unknown_options
from f2vbench.errors import SettingsError

CLASSES, LABEL_KIND, FAMILY = "card.classes", "card.label_kind", "card.family"
"""Keys with which the card's classes, kind of labels and family are added to its options for this layout."""

LABEL_FIELDS = {"regression": ("value",), "survival": ("time", "event")}
"""Fields of `f2vbench.data.index_rows.Row` with the label, by family; ``label`` in the other families."""

MULTI_LABEL = "multilabel"

Split = Literal["train", "val", "test"]


class TableOptions(BaseModel):
    """Options of a task card with ``layout: table``; a column that is ``null`` is not used."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: str | dict[Split, str] | None = Field(
        None, description="file name of the table, or its path in the folder of the data set; or one for each split"
    )
    images: str | dict[Split, str] | None = Field(
        None, description="name or path of the folder with the images; or one for each split"
    )
    image: str | None = Field(None, description="column with the names of the images")
    label: str | list[str] | None = Field(None, description="column or columns with the labels")
    value: str | None = Field(None, description="regression: column with the number to predict")
    time: str | None = Field(None, description="survival: column with the time")
    event: str | None = Field(None, description="survival: column with 1 for an observed event, else 0")
    patient: str | None = Field(None, description="column with the patients")
    eye: str | None = Field(None, description="column with the eye")
    split: str | None = Field(None, description="column with the split")
    age: str | None = Field(None, description="column with the age in years")
    sex: str | None = Field(None, description="column with the sex")
    site: str | None = Field(None, description="column with the site")
    camera: str | None = Field(None, description="column with the camera")
    values: dict[str, dict[str, str]] = Field(
        default_factory=dict, description="meaning of the cells of a column: {eye: {1: right, 2: left}}"
    )
    no_finding: str = Field("", description="class of images with 0 in all label columns")

    @field_validator("values", mode="before")
    @classmethod
    def _codes_are_text(cls, values: Any) -> Any:
        """YAML reads the codes 1 and 2 as numbers."""
        if not isinstance(values, Mapping):
            return values
        return {
            name: {str(code): meaning for code, meaning in codes.items()} if isinstance(codes, Mapping) else codes
            for name, codes in values.items()
        }

    @field_validator("table", "images")
    @classmethod
    def _stay_below_the_root(cls, names: str | dict[Split, str] | None) -> str | dict[Split, str] | None:
        for name in names.values() if isinstance(names, dict) else filter(None, [names]):
            if "\\" in name or {"", ".", ".."} & set(name.split("/")):
                raise ValueError(f"'{name}' must be a name, or a path below the folder of the data set with slashes")
        return names

    def tables(self) -> dict[str, str]:
        """Names of the tables by split, "" for a table of all images; empty if the card names none."""
        return _by_split(self.table)

    def image_folder(self, split: str) -> str | None:
        """Name of the folder with the images of a split; None if the card does not name it."""
        folders = _by_split(self.images)
        return folders.get(split, folders.get(""))

    def named(self) -> dict[str, Any]:
        """The columns that the card names, by role; None for a role without a column."""
        others = ("table", "images", "values", "no_finding")
        return {
            role: getattr(self, role) for role in TableOptions.model_fields if role in self.model_fields_set - {*others}
        }


def _by_split(names: str | dict[Split, str] | None) -> dict[str, str]:
    if isinstance(names, dict):
        return {str(split): name for split, name in names.items()}
    return {"": names} if names else {}


class CardLabels(BaseModel):
    """What the task card says of the labels.

    Attributes:
        family: Task family.
        kind: Kind of labels, or None.
        classes: The classes.
        has_no_classes: Whether the card has no classes, so that the labels in the table are the classes.
    """

    model_config = ConfigDict(frozen=True)

    family: str = "classification"
    kind: str | None = None
    classes: Sequence[LabelClass] = ()
    has_no_classes: bool = False

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields with the label."""
        return LABEL_FIELDS.get(self.family, ("label",))


def read_table_options(options: Mapping[str, Any]) -> tuple[TableOptions, CardLabels]:
    """Check the options of a task card.

    Args:
        options: The options, with the keys `CLASSES`, `LABEL_KIND` and `FAMILY` of the card.

    Raises:
        SettingsError: Unknown options or values; all are listed.
    """
    classes = options.get(CLASSES)
    card = CardLabels(
        family=options.get(FAMILY, "classification"),
        kind=options.get(LABEL_KIND),
        classes=tuple(classes or ()),
        has_no_classes=classes == [],
    )
    own = {key: value for key, value in options.items() if key not in (CLASSES, LABEL_KIND, FAMILY)}
    unknown = unknown_options(own, TableOptions.model_fields)
    unknown += [
        f"options.{key}: not a label of the family {card.family}; its labels are named by {' and '.join(card.fields)}"
        for key in ("label", "value", "time", "event")
        if key in own and key not in card.fields
    ]
    try:
        checked = TableOptions.model_validate({key: own[key] for key in own if key in TableOptions.model_fields})
    except ValidationError as error:
        wrong = [
            f"options.{'.'.join(map(str, item['loc']))}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors(include_url=False)
        ]
        raise SettingsError([*unknown, *wrong]) from None
    if unknown:
        raise SettingsError(unknown)
    return checked, card
