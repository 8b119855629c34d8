"""The ring of keys that `create_app` makes for itself."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from rustrak_core.errors import StoreUnavailableError, UnknownProjectError
from rustrak_core.project import Project, ProjectId
from rustrak_http.keyring import StoreKeyRing
from tests.http.conftest import START

KEY = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
ONE = ProjectId(1)


class Projects:
    """A store of projects that counts what it is asked, and can go away."""

    def __init__(self) -> None:
        self.asked = 0
        self.exists = True
        self.away = False
        self.gate = threading.Event()
        self.gate.set()

    def project(self, project_id: ProjectId) -> Project:
        self.asked += 1
        self.gate.wait(10)
        if self.away:
            raise StoreUnavailableError("away")
        if not self.exists:
            raise UnknownProjectError("no such project")
        return Project(id=project_id, name="a", slug="a", sentry_key=KEY, created_at=START)


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def projects() -> Projects:
    return Projects()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def ring(projects: Projects, time: Time) -> StoreKeyRing:
    return StoreKeyRing(projects, monotonic=time)  # type: ignore[arg-type]


def test_a_known_key_is_asked_for_every_five_seconds(ring: StoreKeyRing, projects: Projects, time: Time) -> None:
    """API.md Projects S3: a deleted project's key stops working within 5 seconds on other machines."""
    assert ring.key_of(ONE) == KEY.replace("-", "")
    projects.exists = False
    time.now = 4.9
    assert ring.key_of(ONE)
    assert projects.asked == 1
    time.now = 5.0
    with pytest.raises(UnknownProjectError):
        ring.key_of(ONE)


def test_a_refusal_is_remembered_for_a_second(ring: StoreKeyRing, projects: Projects, time: Time) -> None:
    """API.md Projects S3: a key not yet known is looked up before it is refused, refusals remembered for a second."""
    projects.exists = False
    for _ in range(5):
        with pytest.raises(UnknownProjectError):
            ring.key_of(ONE)
    assert projects.asked == 1
    projects.exists = True
    time.now = 1.0
    assert ring.key_of(ONE)


def test_what_changed_here_is_known_at_once(ring: StoreKeyRing, projects: Projects) -> None:
    """API.md Projects S3: a deleted project's key stops working at once in this process."""
    ring.key_of(ONE)
    projects.exists = False
    ring.changed()
    with pytest.raises(UnknownProjectError):
        ring.key_of(ONE)


def test_known_keys_outlive_an_outage(ring: StoreKeyRing, projects: Projects, time: Time) -> None:
    """API.md Projects S3: accepting goes on while the store is away; only what is not known is refused."""
    ring.key_of(ONE)
    projects.away = True
    for moment in (6.0, 60.0, 6000.0):
        time.now = moment
        assert ring.key_of(ONE)
    with pytest.raises(StoreUnavailableError):
        ring.key_of(ProjectId(2))


def test_many_that_ask_are_one_question(ring: StoreKeyRing, projects: Projects) -> None:
    """API.md Projects S3: looked up once for many that ask."""
    projects.gate.clear()
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(ring.key_of, ONE) for _ in range(8)]
        projects.gate.set()
        assert {answer.result(10) for answer in answers} == {KEY.replace("-", "")}
    assert projects.asked == 1
