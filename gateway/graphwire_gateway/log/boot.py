"""Which boot of the machine this is."""

from pathlib import Path


def boot_id() -> str:
    """Return the id of this boot of the machine; "" where there is none, as if it were always the same."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
