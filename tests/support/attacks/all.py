"""Every attack by its name."""

from tests.support.attacks.attack import Attacks
from tests.support.attacks.code import CODE
from tests.support.attacks.connections import CONNECTIONS
from tests.support.attacks.frames import FRAMES
from tests.support.attacks.runs import RUNS
from tests.support.attacks.walks import WALKS

ATTACKS: Attacks = {**CONNECTIONS, **FRAMES, **WALKS, **RUNS, **CODE}
