"""The edits of a layer of a spec, put into its fields."""

from __future__ import annotations

from marshmallow import ValidationError

from service.edits import Edit, Editing, plain_setting
from service.readers.spec.draft import Draft
from service.readers.spec.record import LayerType


def with_settings(draft: Draft, kind: LayerType, edit: Edit, editing: Editing) -> Draft:
    """The layer with the geometry that an edit sets. Weights that it states or shares are left out where their shape no longer fits.

    Refused `invalid-edit` where the layer has no such geometry.
    """
    if "kernel" not in kind.fields:
        reason = f"{draft.fields['type']} has no window to change"
        raise editing.refused(edit.layer, next(iter(edit.settings)), "no-geometry", reason)
    for name, value in edit.settings.items():
        if name not in kind.fields:
            raise editing.refused(edit.layer, name, "no-geometry", f"{draft.fields['type']} has no {name}")
        try:
            kind.fields[name].deserialize(plain_setting(value))
        except ValidationError as error:
            reason = str(error.messages[0]).partition(": ")[2]
            raise editing.refused(edit.layer, name, "wrong-value", f"{name} {reason}") from None
    return draft.edited(edit.settings)
