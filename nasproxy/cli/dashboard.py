"""`nasproxy dashboard`."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Annotated, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import typer

from nasproxy.cli import options
from nasproxy.cli.terminal import Terminal, guarded, leave

HOST = "127.0.0.1"
App = Callable[..., Iterable[bytes]]


@guarded
def dashboard_command(
    folder: options.RunFolder,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="[default: one that is free]")
    ] = None,
    open_browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open it in the browser.")
    ] = True,
    storage: Annotated[
        str | None, typer.Option(help="Optuna storage URL [default: the run's].")
    ] = None,
    study_name: Annotated[str | None, typer.Option(help="[default: the run's]")] = None,
    seed: options.Seed = None,
    device: options.Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show the study with optuna-dashboard, on this machine only, until Ctrl-C."""
    from nasproxy.export.dashboard import decorate_study
    from nasproxy.search.inspection import ARTIFACTS_FOLDER, build_app, check_can_show

    terminal = Terminal(as_json=as_json, quiet=quiet)
    check_can_show()
    decorated = decorate_study(folder, storage=storage, study_name=study_name)
    app = build_app(decorated["storage"], folder / ARTIFACTS_FOLDER)
    with open_server(only_local(app), port) as server:
        address = f"http://{HOST}:{server.server_port}/dashboard/studies/{decorated['study_id']}"
        terminal.say(f"Dashboard: {address}\nCtrl-C ends it.")
        terminal.finish({"url": address, "out": str(folder), **decorated})
        sys.stdout.flush()
        try:
            if open_browser and _has_screen():
                import webbrowser

                webbrowser.open(address)
            server.serve_forever()
        except KeyboardInterrupt:
            leave("" if quiet else "The dashboard has ended.", 130)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # a browser that keeps a connection does not keep the program


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: one line a request would bury the address."""


def open_server(app: App, port: int | None) -> WSGIServer:
    """Listen on this machine's own address, on a free port if none is given.

    Raises:
        ConfigError: another program listens there, or the port needs other rights.
    """
    from nasproxy.errors import ConfigError

    try:
        return make_server(HOST, port or 0, app, _Server, _QuietHandler)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise ConfigError(
            f"port {port} cannot be had ({error.strerror}): leave --port out for a free one"
        ) from error


def only_local(app: App) -> App:
    """Refuse requests of another site's page, to us or to a name that it gave our address."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        host = str(environ.get("HTTP_HOST", ""))
        origin = environ.get("HTTP_ORIGIN", f"http://{host}")
        if host.rsplit(":", 1)[0] not in (HOST, "localhost") or origin != f"http://{host}":
            start_response("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"open http://127.0.0.1 instead\n"]
        return app(environ, start_response)

    return answer


def _has_screen() -> bool:
    """Say whether a browser can show a window; one in this very terminal would be in the way."""
    return sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
