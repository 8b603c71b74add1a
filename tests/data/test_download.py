"""Downloads from a server of the test's own on 127.0.0.1."""

import gzip
import hashlib
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from unspool.data import download as module
from unspool.data.download import RemoteFile, download
from unspool.errors import DataError, SaveError

CONTENT = random.Random(0).randbytes(300_000)
PACKED = gzip.compress(CONTENT, mtime=0)


@dataclass
class Site:
    """One address and how it misbehaves."""

    body: bytes = PACKED
    status: int = 200
    knows_ranges: bool = True
    breaks_after: int | None = None
    range_shift: int = 0
    declares_length: bool = True


@dataclass
class Server:
    root: str
    sites: dict[str, Site] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)

    def file(self, **sites: Site) -> RemoteFile:
        """Describe the true content, with these sites as its mirrors."""
        self.sites.update({f"/{name}": site for name, site in sites.items()})
        digest = hashlib.sha256(CONTENT).hexdigest()
        urls = tuple(f"{self.root}/{name}" for name in sites)
        return RemoteFile("file", len(CONTENT), digest, urls)


@pytest.fixture
def server():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            site, wanted = known.sites[self.path], self.headers["Range"]
            known.requests.append((self.path, wanted))
            start = int(wanted[6:-1]) if wanted and site.knows_ranges else 0
            if site.status != 200 or start >= len(site.body) > 0:
                self.send_error(site.status if site.status != 200 else 416)
                return
            self.send_response(206 if start else 200)
            if start:
                first, last = start + site.range_shift, len(site.body) - 1
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(site.body)}")
            body = site.body[start:]
            if site.declares_length:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(ConnectionError):  # the client may have heard enough
                self.wfile.write(body[: site.breaks_after])

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        known = Server(f"http://127.0.0.1:{http.server_address[1]}")
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield known
        http.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path) -> Path:
    return tmp_path / "new" / "file.gz"


@pytest.fixture
def part(target) -> Path:
    target.parent.mkdir()
    return target.with_name("file.gz.part")


def failure_of(action: Callable[[], None]) -> str:
    with pytest.raises(DataError) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_arrives_whole(server, target):
    seen = []
    download(server.file(good=Site()), target, lambda *numbers: seen.append(numbers))
    assert target.read_bytes() == PACKED
    assert seen[0] == (0, len(PACKED))
    assert seen[-1] == (len(PACKED), len(PACKED))
    assert seen == sorted(seen)
    assert not target.with_name("file.gz.part").exists()


def test_an_uncompressed_file_will_do(server, target):
    download(server.file(plain=Site(CONTENT)), target)
    assert target.read_bytes() == CONTENT


def test_the_length_may_be_unknown(server, target):
    seen = []
    file = server.file(silent=Site(declares_length=False))
    download(file, target, lambda *numbers: seen.append(numbers))
    assert target.read_bytes() == PACKED
    assert seen[-1] == (len(PACKED), None)


def test_what_is_there_is_not_downloaded_again(server, target):
    target.parent.mkdir()
    target.write_bytes(b"there")
    download(server.file(good=Site()), target)
    assert target.read_bytes() == b"there"
    assert server.requests == []


def test_a_download_goes_on_where_it_was_interrupted(server, target):
    def interrupt(done, total):
        if done > 100_000:
            raise KeyboardInterrupt

    file = server.file(good=Site())
    with pytest.raises(KeyboardInterrupt):
        download(file, target, interrupt)
    assert not target.exists()
    there = target.with_name("file.gz.part").stat().st_size
    assert 100_000 < there < len(PACKED)
    seen = []
    download(file, target, lambda *numbers: seen.append(numbers))
    assert target.read_bytes() == PACKED
    assert server.requests[-1] == ("/good", f"bytes={there}-")
    assert seen[0] == (there, len(PACKED))


def test_a_server_without_ranges_starts_over(server, target, part):
    part.write_bytes(PACKED[:1000])
    download(server.file(old=Site(knows_ranges=False)), target)
    assert target.read_bytes() == PACKED
    assert server.requests == [("/old", "bytes=1000-")]


def test_a_complete_part_is_taken_as_it_is(server, target, part):
    part.write_bytes(PACKED)
    download(server.file(good=Site()), target)
    assert target.read_bytes() == PACKED
    assert server.requests == [("/good", f"bytes={len(PACKED)}-")]


@pytest.mark.parametrize("length", [1000, len(PACKED), len(PACKED) + 10])
def test_a_part_of_something_else_is_thrown_away(server, target, part, length):
    part.write_bytes(b"?" * length)
    download(server.file(good=Site()), target)
    assert target.read_bytes() == PACKED
    assert len(server.requests) == 2


def test_the_next_mirror_goes_on_where_one_broke_off(server, target):
    download(server.file(first=Site(breaks_after=70_000), second=Site()), target)
    assert target.read_bytes() == PACKED
    (_, first), (path, second) = server.requests
    assert (first, path) == (None, "/second")
    assert 0 < int(second[6:-1]) <= 70_000


@pytest.mark.parametrize(
    "bad",
    [
        Site(status=404),
        Site(status=503),
        Site(b"<html>please log in</html>"),
        Site(gzip.compress(CONTENT[::-1])),
        Site(PACKED[:-4]),
        Site(bytes(2 * len(PACKED))),
        Site(b""),
    ],
)
def test_a_bad_mirror_is_passed_over(server, target, bad):
    download(server.file(bad=bad, good=Site()), target)
    assert target.read_bytes() == PACKED


def test_a_range_that_was_not_asked_for_is_passed_over(server, target, part):
    part.write_bytes(PACKED[:1000])
    download(server.file(bad=Site(range_shift=1), good=Site()), target)
    assert target.read_bytes() == PACKED
    assert server.requests == [("/bad", "bytes=1000-"), ("/good", "bytes=1000-")]


def test_all_reasons_are_named_in_one_line(server, target):
    file = server.file(
        missing=Site(status=404),
        short=Site(gzip.compress(b"short")),
        other=Site(gzip.compress(CONTENT[::-1])),
        long=Site(gzip.compress(CONTENT + b"!")),
        damaged=Site(PACKED[:-4]),
        endless=Site(bytes(2 * len(PACKED))),
        broken=Site(breaks_after=7),
    )
    message = failure_of(lambda: download(file, target))
    root, found = server.root, hashlib.sha256(CONTENT[::-1]).hexdigest()
    assert message.startswith(f"file could not be downloaded ({root}/missing: status 404")
    assert f"{root}/short: found 5 bytes uncompressed, expected 300000;" in message
    assert f"{root}/other: found SHA-256 {found}, expected {file.sha256};" in message
    assert f"{root}/long: found more than 300000 bytes uncompressed" in message
    assert f"{root}/damaged: found damaged gzip data" in message
    assert f"{root}/endless: found more than {file.largest_download} bytes" in message
    assert f"{root}/broken: " in message
    assert "broke off" in message
    assert message.endswith("name its folder by --data-dir or UNSPOOL_DATA")
    assert not target.exists()


def test_an_unreachable_mirror_is_named(target):
    file = RemoteFile("file", 1, "", ("http://127.0.0.1:1/file", "nonsense://file"))
    message = failure_of(lambda: download(file, target))
    assert "http://127.0.0.1:1/file: cannot be reached" in message
    assert "nonsense://file: failed (InvalidSchema)" in message


def test_a_silent_mirror_is_given_up(monkeypatch, server, target):
    monkeypatch.setattr(module, "READ_SECONDS", 0.05)
    released = threading.Event()
    file = server.file(slow=Site())

    class Slow(dict):
        def __getitem__(self, path):
            released.wait(10)
            return super().__getitem__(path)

    server.sites = Slow(server.sites)
    try:
        assert "/slow: no answer in time" in failure_of(lambda: download(file, target))
    finally:
        released.set()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_is_explained(server, target, part):
    part.symlink_to("/dev/full")
    with pytest.raises(SaveError, match="cannot be written: No space left on device; free") as e:
        download(server.file(good=Site()), target)
    assert str(target) in str(e.value)
    assert not target.exists()


def test_a_folder_that_cannot_be_made_is_explained(server, tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(SaveError, match="check the folder's permissions, or set UNSPOOL_CACHE"):
        download(server.file(good=Site()), tmp_path / "taken" / "file.gz")


def test_two_downloads_of_one_file_do_not_disturb_each_other(server, target):
    file = server.file(good=Site())
    failures = []

    def attempt():
        try:
            download(file, target)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=attempt) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert target.read_bytes() == PACKED
    assert len(server.requests) == 1


def test_waiting_for_another_process_ends_with_an_explanation(monkeypatch, server, target, part):
    import filelock

    monkeypatch.setattr(module, "LOCK_SECONDS", 0.05)
    with filelock.FileLock(target.with_name("file.gz.lock")):
        message = failure_of(lambda: download(server.file(good=Site()), target))
    assert "still being downloaded by another process" in message
