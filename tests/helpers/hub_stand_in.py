"""A stand-in for the Hugging Face Hub's HTTP interface: creation, upload and download of model repositories."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_standin"
_API = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+?)(?:/(?P<what>revision|preupload|commit|tree)/(?P<rev>[^/]+).*)?")
_LFS = re.compile(r"/(?P<repo>[^/]+/[^/]+?)\.git/info/lfs/objects/batch")
_FILE = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<rev>[^/]+)/(?P<file>.+)")


@dataclass
class Hub:
    """Repositories as lists of commits, each a mapping of file names to contents; only those of `me` are writable."""

    url: str = ""
    commits: dict[str, list[dict[str, bytes]]] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    gated: set[str] = field(default_factory=set)

    def oid(self, repo: str, number: int = -1) -> str:
        number = range(len(self.commits[repo]))[number]
        return hashlib.sha1(f"{repo} {number}".encode()).hexdigest()

    def files(self, repo: str, revision: str = "main") -> dict[str, bytes] | None:
        known = {self.oid(repo, number): files for number, files in enumerate(self.commits[repo])}
        return self.commits[repo][-1] if revision == "main" else known.get(revision)

    def commit_of(self, repo: str, revision: str) -> str:
        return self.oid(repo) if revision == "main" else revision


@contextmanager
def stand_in() -> Iterator[Hub]:
    """A Hub on a port of this machine; `url` is the value for `HF_ENDPOINT`."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _describe(name: str, content: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "size": len(content),
        "oid": hashlib.sha1(b"blob %d\0%s" % (len(content), content)).hexdigest(),
    }
    if name.endswith(".safetensors"):
        digest = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": digest, "sha256": digest, "size": len(content), "pointerSize": 130}
    return entry


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_PUT = do_GET

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        body = self._body()
        self.hub.requests.append(f"{self.command} {path}")
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in ("", TOKEN):
            return self._answer_json(401, {"error": "Invalid credentials in Authorization header"})
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path == "/api/validate-yaml":
            return self._answer_json(200, {"errors": [], "warnings": []})
        if found := _LFS.fullmatch(path):
            return self._batch(json.loads(body))
        if path.startswith("/upload/"):
            self.hub.blobs[path.removeprefix("/upload/")] = body
            return self._answer_json(200, {})
        if found := _API.fullmatch(path):
            return self._api(found["repo"], found["what"], found["rev"] or "main", body)
        if found := _FILE.fullmatch(path):
            return self._file(found["repo"], found["rev"], found["file"])
        return self._answer_json(404, {"error": f"no such address: {path}"})

    def _api(self, repo: str, what: str | None, revision: str, body: bytes) -> None:
        if repo not in self.hub.commits:
            return self._answer_json(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        if repo in self.hub.gated:
            return self._answer_json(403, {"error": "Access to model is restricted"}, {"X-Error-Code": "GatedRepo"})
        if what == "preupload":
            return self._answer_json(200, {"files": [_upload_mode(file) for file in json.loads(body)["files"]]})
        if what == "commit":
            return self._commit(repo, [json.loads(line) for line in body.splitlines()])
        files = self.hub.files(repo, revision)
        if files is None:
            return self._answer_json(404, {"error": "Revision not found"}, {"X-Error-Code": "RevisionNotFound"})
        if what == "tree":
            return self._answer_json(200, [{"type": "file", "path": n, **_describe(n, c)} for n, c in files.items()])
        entries = [(name, _describe(name, content)) for name, content in files.items()]
        siblings = [{"rfilename": name, "blobId": entry.pop("oid"), **entry} for name, entry in entries]
        commit = self.hub.commit_of(repo, revision)
        return self._answer_json(
            200, {"id": repo, "modelId": repo, "sha": commit, "siblings": siblings, "private": False}
        )

    def _create(self, request: dict[str, Any]) -> None:
        owner = request.get("organization", "me")
        repo = f"{owner}/{request['name']}"
        if owner != "me":
            return self._answer_json(403, {"error": f"You don't have the rights to create a model under {owner}"})
        self.hub.commits[repo] = [{".gitattributes": b"*.safetensors filter=lfs"}]
        return self._answer_json(200, {"url": f"{self.hub.url}/{repo}", "name": repo})

    def _batch(self, request: dict[str, Any]) -> None:
        objects = [
            {**each, "actions": {"upload": {"href": f"{self.hub.url}/upload/{each['oid']}"}}}
            for each in request["objects"]
        ]
        return self._answer_json(200, {"transfer": "basic", "objects": objects})

    def _commit(self, repo: str, lines: list[dict[str, Any]]) -> None:
        files = dict(self.hub.commits[repo][-1])
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.blobs[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        self.hub.commits[repo].append(files)
        oid = self.hub.oid(repo)
        return self._answer_json(
            200, {"success": True, "commitOid": oid, "commitUrl": f"{self.hub.url}/{repo}/commit/{oid}"}
        )

    def _file(self, repo: str, revision: str, name: str) -> None:
        files = self.hub.files(repo, revision) if repo in self.hub.commits else None
        if files is None or name not in files:
            return self._answer_json(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
        headers = {"ETag": f'"{hashlib.sha256(files[name]).hexdigest()}"', "Accept-Ranges": "bytes"}
        return self._send(200, files[name], {**headers, "X-Repo-Commit": self.hub.commit_of(repo, revision)})

    def _answer_json(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        message = {"X-Error-Message": value["error"]} if isinstance(value, dict) and "error" in value else {}
        self._send(
            status, json.dumps(value).encode(), {"Content-Type": "application/json", **message, **(headers or {})}
        )

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") == "chunked":
            parts = []
            while size := int(self.rfile.readline().strip(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))


def _upload_mode(file: dict[str, Any]) -> dict[str, Any]:
    large = file["path"].endswith(".safetensors")
    return {"path": file["path"], "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}
