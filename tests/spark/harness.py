"""Runs of the program, servers, and a proxy between them."""

import contextlib, hashlib, os, pathlib, shutil, signal, socket, subprocess, sys, tempfile, threading, time

HERE = pathlib.Path(__file__).parent
PROGRAM, SERVER, PYTHON = sys.argv[1:4]
WORK = pathlib.Path(tempfile.mkdtemp())
EXPORTS, DAY = WORK / "exports", "2026-03-01"


def generate():
    """One day of three million rows."""
    arguments = ["--shops", "2000", "--days", "1", "--rows-per-day", "3000000", "--seed", "3", "--out", EXPORTS]
    subprocess.run([PROGRAM, "generate", *arguments], check=True, capture_output=True)


def engine(port):
    return ["--engine", "spark", "--spark-remote", f"sc://127.0.0.1:{port}"]


class Run:
    """One day into a fresh folder."""

    def __init__(self, *arguments, exports=EXPORTS, wait=True):
        self.results = pathlib.Path(tempfile.mkdtemp(dir=WORK))
        command = [PROGRAM, "run", "--day", DAY, "--exports", exports, "--results", self.results, "--quiet"]
        self.begun = time.monotonic()
        self.process = subprocess.Popen(
            [*command, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=HERE.parent.parent
        )
        if wait:
            self.wait()

    def wait(self):
        _, self.stderr = self.process.communicate(timeout=600)
        self.seconds = time.monotonic() - self.begun
        self.code = self.process.returncode

    def published(self):
        return sorted(path for path in self.results.rglob("*.parquet"))


def finished(run):
    """The files of a run that succeeded, by name, with their checksums."""
    check("", run.code == 0, run)
    files = {str(path.relative_to(run.results)): digest(path) for path in run.published()}
    assert files
    shutil.rmtree(run.results)
    return files


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check(what, is_so, run=None):
    if not is_so:
        sys.exit(f"FAILED: {what or 'a run'}" + (f": exit code {run.code} after {run.seconds:.1f} s\n{run.stderr}" if run else ""))
    if what:
        print(f"{SERVER}: {what}", flush=True)


class Server:
    """A server with a process group of its own."""

    def __init__(self, *settings):
        self.port, self.settings = free_port(), settings

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.end(signal.SIGKILL)

    def start(self):
        quick = ["spark.connect.execute.manager.detachedTimeout=2s", "spark.connect.execute.manager.maintenanceInterval=1s"]
        settings = [*quick, *self.settings] if SERVER == "spark" else []
        log = open(WORK / "server.log", "a")
        command = [PYTHON, HERE / "server.py", SERVER, str(self.port), *settings]
        self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        for _ in range(120):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.5)
        sys.exit("the server did not start: " + (WORK / "server.log").read_text()[-2000:])

    def signal(self, number):
        os.killpg(self.process.pid, number)

    def end(self, number):
        with contextlib.suppress(ProcessLookupError):
            self.signal(number)
        self.process.wait()

    def cpu_seconds(self):
        ticks = 0
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = stat.read_text().rpartition(")")[2].split()
                if int(fields[2]) == self.process.pid:
                    ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def is_idle_within(self, seconds):
        """Whether the server comes to use less than a fifth of a core."""
        for _ in range(seconds):
            before = self.cpu_seconds()
            time.sleep(1)
            if self.cpu_seconds() - before < 0.2:
                return True
        return False


class Proxy:
    """Passes bytes on to the server, until its connections are cut."""

    def __init__(self, server_port):
        self.server_port, self.open, self.refused_until = int(server_port), [], 0.0
        self.bytes_back = 0  # from the server

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                if time.monotonic() < self.refused_until:
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self.server_port))
                self.open += [client, server]
                for source, target, is_back in ((client, server, False), (server, client, True)):
                    threading.Thread(target=self.copy, args=(source, target, is_back), daemon=True).start()

    def copy(self, source, target, is_back):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
                self.bytes_back += len(data) * is_back
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self, seconds):
        """Cuts every connection, and refuses others for some seconds. Returns how many were cut."""
        self.refused_until = time.monotonic() + seconds
        cut, self.open = self.open, []
        for end in cut:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        check("", cut)
        return len(cut) // 2


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
