"""How much Hypothesis looks: the same examples every time in CI, new ones elsewhere, more with HYPOTHESIS_PROFILE=long."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much]

settings.register_profile("new", max_examples=80, deadline=None, report_multiple_bugs=False, suppress_health_check=SLOW)
settings.register_profile("ci", settings.get_profile("new"), derandomize=True, print_blob=True)
settings.register_profile("long", settings.get_profile("new"), max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") == "true" else "new"))
