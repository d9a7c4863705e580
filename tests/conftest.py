"""What every test may use, the rule that CI hides nothing behind a skip, and how much Hypothesis looks.

Hypothesis looks at the same examples every time; HYPOTHESIS_PROFILE=new takes new ones, HYPOTHESIS_PROFILE=long many more.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

REPOSITORY = Path(__file__).resolve().parents[1]
CORPUS = Path(os.environ.get("RECEPTIVE_CORPUS") or REPOSITORY.parent / "shared" / "corpus")
IN_CI = os.environ.get("CI") == "true"

SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much]
settings.register_profile("new", max_examples=80, deadline=None, report_multiple_bugs=False, suppress_health_check=SLOW)
settings.register_profile("same", settings.get_profile("new"), derandomize=True, print_blob=True)
settings.register_profile("long", settings.get_profile("new"), max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


def _is_allowed_in_ci(reason: str) -> bool:
    """Whether a test may be skipped in CI: only for want of the corpus of real models, and only where that is really absent."""
    return "corpus" in reason.lower() and not CORPUS.is_dir()


def _fail_skip_in_ci(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turns a skip into a failure in CI. An expected failure is reported as skipped too and stays what it is."""
    if not IN_CI or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not _is_allowed_in_ci(reason):
        report.outcome = "failed"
        report.longrepr = f"Nothing is skipped in CI, and this was: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Holds tests to the rule."""
    report = yield
    _fail_skip_in_ci(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Holds whole modules to the rule."""
    report = yield
    _fail_skip_in_ci(report)
    return report


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real models; a test that asks for it is skipped where the folder is absent."""
    if not CORPUS.is_dir():
        pytest.skip("the corpus of real models is absent (RECEPTIVE_CORPUS names it)")
    return CORPUS


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The path of a Chromium for Playwright's `executable_path`; a test that asks for it is skipped where there is none."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium is installed (make test-packages installs it)")
    return path


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The address of an S3 server."""
    from tests.machine import s3_server

    with s3_server() as endpoint:
        yield endpoint
