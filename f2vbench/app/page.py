"""The page of `f2vbench app`, with gradio: local, without analytics, and without files that outlive a request."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from f2vbench.app import markup
from f2vbench.app.findings import Analysis
from f2vbench.app.settings import AppSettings
from f2vbench.app.uploads import MAX_BYTES, MAX_PIXELS, example, read_upload
from f2vbench.data.photographs import Photograph
from f2vbench.errors import F2VBenchError, SettingsError
from f2vbench.utils.progress import Progress

_HOST = "127.0.0.1"
_WAITING = 8  # photographs that wait for the one being analysed


def check_gradio() -> None:
    """Check that gradio is installed.

    Raises:
        SettingsError: It is not; the message has the line that installs it.
    """
    if find_spec("gradio") is None:
        raise SettingsError('f2vbench app needs the package gradio: run `pip install "f2vbench[app]"`')


def serve(settings: AppSettings, progress: Progress) -> None:
    """Show the page at 127.0.0.1 until the process is interrupted.

    Args:
        settings: Model, index and port.
        progress: Receives the progress of reading the index.

    Raises:
        SettingsError: gradio is not installed, the port is in use, or as `Analysis`.
        WeightsError: As `Analysis`.
        DataError: As `Analysis`.
        StoreError: As `Analysis`.
    """
    check_gradio()
    analysis = Analysis(settings, progress)
    with tempfile.TemporaryDirectory(prefix="f2vbench-app-") as folder:
        launch(analysis, settings.port, Path(folder)).block_thread()


def launch(analysis: Analysis, port: int, uploads: Path) -> Any:
    """Start the page in a thread.

    Args:
        analysis: Analyses photographs.
        port: Port at 127.0.0.1.
        uploads: Empty folder of uploaded files, each of which is deleted as soon as it is read.

    Returns:
        The `gradio.Blocks`, whose `close` ends it.

    Raises:
        SettingsError: The port is in use.
    """
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)  # read at import
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio

    fonts = ["system-ui", "sans-serif"]  # the default theme loads fonts from the network
    page = build_page(analysis)
    page.queue(max_size=_WAITING, default_concurrency_limit=1, api_open=False)
    try:
        page.launch(
            server_name=_HOST,
            server_port=port,
            share=False,
            inbrowser=False,
            prevent_thread_lock=True,
            max_file_size=MAX_BYTES,
            run_history=False,  # browsers would keep the photographs
            footer_links=[],
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            enable_monitoring=False,
            theme=gradio.themes.Default(font=fonts, font_mono=["ui-monospace", "monospace"]),
            css=markup.asset("page.css"),
            head=f"<script>{markup.asset('page.js')}</script>",
            quiet=True,
        )
    except OSError:
        raise SettingsError(f"port={port}: another program uses it; choose another port") from None
    return page


def build_page(analysis: Analysis) -> Any:
    """The page, a `gradio.Blocks`.

    Args:
        analysis: Analyses photographs.
    """
    import gradio

    limits = f"up to {MAX_BYTES // 2**20} MB and {MAX_PIXELS // 1_000_000} million pixels"
    with gradio.Blocks(title="f2vbench: angiogram of a photograph", analytics_enabled=False) as page:
        gradio.Markdown(
            "# Angiogram of a fundus photograph\n"
            f"Upload a colour fundus photograph ({limits}). It stays on this machine and is deleted once it is read."
        )
        gradio.HTML(markup.model_html(analysis.model))
        with gradio.Row():
            upload = gradio.UploadButton("Upload a photograph", variant="primary")  # `read_upload` checks the type
            start = gradio.Button("Use the example")
        results = gradio.HTML()
        options: dict[str, Any] = {"outputs": results, "api_visibility": "private"}
        upload.upload(lambda path: answer_upload(analysis, path), inputs=upload, **options)
        start.click(lambda: answer(analysis, example), **options)
    return page


def answer_upload(analysis: Analysis, path: str) -> str:
    """The results of an uploaded file, which is deleted.

    Args:
        analysis: Analyses photographs.
        path: The file.
    """
    file = Path(path)

    def read() -> Photograph:
        try:
            return read_upload(file)
        finally:
            file.unlink(missing_ok=True)
            with suppress(OSError):  # the same file is being uploaded again
                file.parent.rmdir()

    return answer(analysis, read)


def answer(analysis: Analysis, read: Callable[[], Photograph]) -> str:
    """The results of a photograph as HTML, or the sentence that says why there are none.

    Args:
        analysis: Analyses photographs.
        read: Reads the photograph.
    """
    try:
        photograph = read()
        return markup.findings_html(analysis.of(photograph), analysis.model, analysis.nearest)
    except F2VBenchError as error:
        return markup.error_html(" ".join(error.problems))
