"""How often the tests repeat what they try at random: in CI a few cases, the same ones each time.

``TIMES=17`` repeats all of them 17 times as often, with other cases each time: the kills and full disks of
``tests/faults``, the damaged files of ``tests/fuzz``, the cut ledgers. ``make test-long`` does so.
"""

import os

TIMES = int(os.environ.get("TIMES", "1"))
