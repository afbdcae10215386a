"""Energy that the processor used, where Linux tells (RAPL, ``/sys/class/powercap``)."""

from __future__ import annotations

from pathlib import Path

POWERCAP = Path("/sys/class/powercap")


class Energy:
    """Joules of all processor packages since it was made.

    Other programs on the machine count too. The counters are usually for root alone (since
    CVE-2020-8694); virtual machines have none.
    """

    def __init__(self, root: Path = POWERCAP):
        self._root = root
        self._start = self._read()

    @property
    def readable(self) -> bool:
        """Whether there are counters, and this process may read them."""
        return self._start is not None

    @property
    def why_not(self) -> str:
        """Why it is not readable."""
        if not self._zones():
            return f"not readable: no counters in {self._root}"
        return f"not readable: {self._root} has counters that only root may read"

    def joules(self) -> float | None:
        """What was used so far; None where it is not readable."""
        now = self._read()
        if now is None or self._start is None:
            return None
        used = 0.0
        for zone, (value, largest) in now.items():
            before = self._start.get(zone, (value, largest))[0]
            used += value - before if value >= before else value + largest - before
        return used / 1e6

    def _zones(self) -> list[Path]:
        """The packages; what is inside them (cores, memory) has a second colon."""
        if not self._root.is_dir():
            return []
        return [each for each in sorted(self._root.glob("*:*")) if each.name.count(":") == 1]

    def _read(self) -> dict[str, tuple[int, int]] | None:
        found = {}
        for zone in self._zones():
            try:
                value = int((zone / "energy_uj").read_text())
                largest = int((zone / "max_energy_range_uj").read_text())
            except (OSError, ValueError):
                return None
            found[zone.name] = (value, largest)
        return found or None
