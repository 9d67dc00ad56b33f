"""Where studies are kept: any Optuna storage, named by a URL."""

from __future__ import annotations

import contextlib
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module, util
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from sqlalchemy import event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from nasproxy._files import ensure_folder
from nasproxy.errors import ArtifactError, ConfigError
from nasproxy.search.journal import JournalFile

JOURNAL = "journal://"
GRPC = "grpc://"
MASK = "***"
PATIENCE = 300.0
"""Seconds for which a shared database may be away in the middle of a search."""
START_PATIENCE = 20.0
CONNECT_SECONDS = 10
DRIVERS = {"postgresql": "nasproxy[postgres]", "mysql": "nasproxy[mysql]"}
_AT_ONCE = ("already exists", "duplicate", "unique", "locked", "deadlock")
"""What databases say where several drivers make the same tables at once."""

T = TypeVar("T")
_opened: set[str] = set()
"""URLs that were not wrong."""
_SECRETS = (re.compile(r"(://[^:@/]*:).*(?=@)"), re.compile(r"(?i)([?&][^=&]*pass[^=&]*=)[^&]*"))


def open_storage(url: str) -> BaseStorage:
    """Open a storage, creating what is not there.

    Args:
        url: `sqlite:///FILE`, `postgresql+psycopg://...`, `mysql+pymysql://...`, `journal:///FILE`
            (Optuna's journal; the path begins after the second slash) or `grpc://HOST:PORT`
            (Optuna's storage proxy).

    Raises:
        ArtifactError: the storage cannot be opened. One that this process has opened before is
            merely away, which raises one of `outages`.
        ConfigError: its driver is not installed; the message says how to install it.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        storage = _open(url)
        _opened.add(url)
        return storage
    except (ArtifactError, ConfigError):
        raise
    except Exception as error:  # SQLAlchemy's many errors: all mean an unusable storage
        if url in _opened and isinstance(error, outages()):
            raise  # it is not wrong but away
        raise _unusable(url, error) from error


def check_storage(url: str) -> None:
    """Open a storage and let go of it again.

    Raises:
        ArtifactError: it cannot be opened.
    """
    with storage_errors(url):
        open_storage(url).remove_session()


def create_study(
    storage: BaseStorage,
    url: str,
    name: str,
    *,
    directions: Sequence[Literal["maximize", "minimize"]] = ("maximize",),
    **settings: Any,
) -> optuna.Study:
    """Create a study, or load the one of this name, whatever its directions.

    Raises:
        ArtifactError: the storage cannot be used; one that is away raises one of `outages`.
    """
    try:
        return optuna.create_study(
            storage=storage,
            study_name=name,
            directions=directions,
            load_if_exists=True,
            **settings,
        )
    except outages():
        raise
    except Exception as error:
        raise _unusable(url, error) from error


@contextlib.contextmanager
def quick_commits(storage: BaseStorage) -> Iterator[None]:
    """Within the block, let an SQLite file that one process writes not wait for the disk.

    A dozen commits a trial would each wait several milliseconds. With a write-ahead log they wait
    at checkpoints alone: what a killed process has committed stays, and a power cut may cost the
    last trials, not the file. Afterwards it is a single file again, unless another process
    reads it.
    """
    engine = storage.engine if isinstance(storage, RDBStorage) else None
    if engine is None or engine.dialect.name != "sqlite":
        yield
        return

    def hasten(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    storage.remove_session()
    engine.dispose()
    event.listen(engine, "connect", hasten)
    try:
        yield
    finally:
        event.remove(engine, "connect", hasten)
        storage.remove_session()
        engine.dispose()
        with contextlib.suppress(SQLAlchemyError), engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=DELETE")


def journal_file(url: str) -> Path:
    """Return the file of a journal's URL."""
    return Path(url.removeprefix(JOURNAL))


def mask(url: str) -> str:
    """Return a URL that may be shown and recorded: without its password."""
    if url.startswith(JOURNAL):
        return url
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # no URL, or its port is no number
        for secret in _SECRETS:
            url = secret.sub(rf"\1{MASK}", url)
        return url
    hidden = {key: MASK for key in parsed.query if "pass" in key.lower()}
    return parsed.update_query_dict(hidden).render_as_string(hide_password=True)


def recordable(url: str) -> str:
    """Return a URL that means the same from every working folder, without its password."""
    if url.startswith(JOURNAL):
        return f"{JOURNAL}{journal_file(url).absolute()}"
    shown = mask(url)
    head, slashes, path = shown.partition(":///")
    if head.startswith("sqlite") and slashes and not path.startswith((":memory:", "file:")):
        return f"{head}:///{Path(path).absolute()}"
    return shown


@contextlib.contextmanager
def storage_errors(url: str) -> Iterator[None]:
    """Turn a storage's refusals in the middle of a search, such as a full disk, into one line.

    Raises:
        ArtifactError: naming the storage, its reason and the remedy.
    """
    try:
        yield
    except outages() as error:
        raise ArtifactError(
            f"cannot write the study in {mask(url)}: {root_cause(error)}; free some space or mend "
            "the storage, then give the same command again"
        ) from error


def outages() -> tuple[type[BaseException], ...]:
    """Return what a storage raises that cannot be reached or written now."""
    grpc = sys.modules.get("grpc")
    known = (optuna.exceptions.StorageInternalError, SQLAlchemyError)
    return known if grpc is None else (*known, grpc.RpcError)


def patiently(action: Callable[[], T], patience: float = PATIENCE) -> T:
    """Do what may be done twice, again and again while the storage is away."""
    deadline = time.monotonic() + patience
    pause = 0.1
    while True:
        try:
            return action()
        except outages():
            if time.monotonic() + pause > deadline:
                raise
        time.sleep(pause)
        pause = min(2 * pause, 5.0)


def root_cause(error: BaseException) -> str:
    """Return the first line of what lies behind an error."""
    while error.__cause__ is not None:
        error = error.__cause__
    details = getattr(error, "details", None)  # of gRPC
    text = str(details()) if callable(details) else str(error)
    lines = text.strip().splitlines()
    return lines[0] if lines else type(error).__name__


def opening_patience(url: str) -> float:
    """Return the seconds for which opening is tried again: at first, drivers may race."""
    return PATIENCE if url in _opened else START_PATIENCE


def _open(url: str) -> BaseStorage:
    if url.startswith(JOURNAL):
        return _open_journal(journal_file(url))
    return _open_grpc(url) if url.startswith(GRPC) else _open_database(url)


def _unusable(url: str, error: BaseException) -> ArtifactError:
    return ArtifactError(f"cannot open the study in {mask(url)}: {root_cause(error)}")


def _open_database(url: str) -> RDBStorage:
    driver = make_url(url).get_backend_name()
    settings: dict[str, Any] = {"pool_pre_ping": True}
    if driver == "sqlite":  # drivers wait for each other's transactions
        settings = {"connect_args": {"timeout": 60}}
    elif driver == "postgresql":
        settings["connect_args"] = {"connect_timeout": CONNECT_SECONDS}
    for attempt in range(10):
        try:
            return RDBStorage(url, engine_kwargs=settings)
        except ImportError as error:
            remedy = DRIVERS.get(driver, "the driver")
            raise ConfigError(
                f"the driver of {mask(url)} is missing: pip install '{remedy}'"
            ) from error
        except DBAPIError as error:  # eight drivers that start at once create the tables at once
            if attempt == 9 or not any(word in str(error).lower() for word in _AT_ONCE):
                raise
        time.sleep(0.1 * (attempt + 1))
    raise AssertionError  # pragma: no cover


def _open_journal(path: Path) -> JournalStorage:
    ensure_folder(path.parent)
    return JournalStorage(JournalFile(path))


def _open_grpc(url: str) -> BaseStorage:
    place = urlsplit(url)
    if not place.hostname or not place.port:
        raise ArtifactError(f"{mask(url)!r} names no server: write grpc://HOST:PORT")
    if not (util.find_spec("grpc") and util.find_spec("google")):
        raise ConfigError(f"{mask(url)} needs grpcio: pip install 'nasproxy[grpc]'")
    import_module("grpc")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        storage = optuna.storages.GrpcStorageProxy(host=place.hostname, port=place.port)
    storage.wait_server_ready(timeout=CONNECT_SECONDS)
    return storage
