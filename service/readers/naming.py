"""Names made unique: where a name is taken, a number is put behind it."""

from __future__ import annotations

from collections.abc import Iterable


class Names:
    """The names in use. A new one costs the same however often its like was asked for, because the uses of each are counted."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._uses = dict.fromkeys(taken, 1)

    def fresh(self, name: str) -> str:
        """`name`, or a name like it that is not taken: name_2, name_3. It is taken from now on."""
        number = self._uses.get(name, 0) + 1
        candidate = name if number == 1 else f"{name}_{number}"
        while number > 1 and candidate in self._uses:
            number += 1
            candidate = f"{name}_{number}"
        self._uses[name] = number
        self._uses.setdefault(candidate, 1)
        return candidate
