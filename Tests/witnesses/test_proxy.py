"""A mount whose only way out is a proxy that is not ours, tinyproxy, over TLS, in a network of the test's own."""
import base64
import hashlib
import json
import os
import random
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from conformance import violations
from mounting import Sandbox, eventually
from network import (API, API_ADDRESS, DIRECT, GATEWAY, INSIDE, STORE, STORE_ADDRESS, Certificates, Network, Tinyproxy)
from recorder import Recorder
from torture.stage import KEY

PROGRAM = os.environ["TWELVEFS"]
USER, PASSWORD = "operator", "pa55word-of-the-proxy"
API_URL = f"https://{API}/v1.3"
# What nobody may see: the password by itself, and as it is sent.
SECRETS = [PASSWORD, base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode().rstrip("="), KEY]


class OnlyByProxy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="proxy-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.network = Network(cls.folder)
        cls.addClassCleanup(cls.network.stop)
        cls.certificates = Certificates(cls.folder, API, STORE, DIRECT)
        (cls.folder / "sandbox").mkdir()
        cls.sandbox = Sandbox(os.environ["SANDBOX"], str(cls.folder / "sandbox"), [
            "--chunk-size", "256KiB", *(word for name in (API, STORE, DIRECT) for word in ("--allow-host", name))])
        cls.addClassCleanup(cls.sandbox.kill)
        cls.sandbox.start()
        # One platform under three names; the store's depends on the test.
        cls.platform = Recorder(
            cls.sandbox.port, listen=[(API_ADDRESS, 443), (STORE_ADDRESS, 443), (GATEWAY, 443)],
            tls=cls.certificates.context)
        cls.addClassCleanup(cls.platform.stop)
        cls.open = cls.tinyproxy("open", 3128, "ConnectPort 443")
        cls.guarded = cls.tinyproxy("guarded", 3129, "ConnectPort 443", f"BasicAuth {USER} {PASSWORD}")
        cls.closed = cls.tinyproxy("closed", 3130, "ConnectPort 563")

    @classmethod
    def tinyproxy(cls, name: str, port: int, *settings: str) -> Tinyproxy:
        proxy = Tinyproxy(cls.folder, name, port, *settings)
        cls.addClassCleanup(proxy.stop)
        return proxy

    def setUp(self):
        self.place = self.folder / self.id().rsplit(".", 1)[-1]
        (self.place / "mnt").mkdir(parents=True)
        self.server = None
        self.store_is(STORE)
        del self.platform.exchanges[:]
        for proxy in (self.open, self.guarded, self.closed):
            proxy.forget()

    def store_is(self, name: str):
        """Has the platform hand out URLs of a store of that name."""
        self.platform.origins = {f"http://{API}".encode(): f"https://{name}".encode()}

    def mount(self, *options: str, **environment: str) -> subprocess.CompletedProcess:
        """Mounts inside. What is mounted is gone with the test."""
        self.addCleanup(self.unmount)
        outcome = self.network.inside(
            PROGRAM, "mount", f"{self.place}/mnt", "--api-url", API_URL, "--state-dir", f"{self.place}/state",
            "--log-file", f"{self.place}/log", "--debug", "--ca-file", str(self.certificates.authority), *options,
            environment={"TWELVELABS_API_KEY": KEY, **environment})
        if outcome.returncode == 0:
            with open(f"{self.place}/state/lock", encoding="utf-8") as lock:
                self.server = int(json.load(lock)["pid"])
        return outcome

    def unmount(self):
        self.network.inside(PROGRAM, "unmount", f"{self.place}/mnt")
        if self.server is not None:
            eventually("the mount is gone", lambda: not os.path.exists(f"/proc/{self.server}"))
            self.server = None

    def assert_copies(self, name: str):
        """`cp` inside, and the platform has the same bytes. Three chunks."""
        content = random.Random(name).randbytes(600_000)
        source = self.place / name
        source.write_bytes(content)
        copy = self.network.inside("cp", str(source), f"{self.place}/mnt/")
        self.assertEqual((copy.returncode, copy.stdout), (0, ""), self.log_text())
        [asset] = [each for each in self.sandbox.control("assets")["assets"] if each["filename"] == name]
        self.assertTrue(asset["complete"])
        self.assertEqual(asset["sha256"], hashlib.sha256(content).hexdigest())

    def log_text(self) -> str:
        log = self.place / "log"
        return log.read_text(encoding="utf-8", errors="replace") if log.exists() else "(no log)"

    def senders(self) -> dict[str, set[str]]:
        """From where calls and chunks came."""
        senders: dict[str, set[str]] = {}
        for each in self.platform.exchanges:
            senders.setdefault("chunks" if each.method == "PUT" else "calls", set()).add(each.sender)
        return senders

    def assert_all_by(self, proxy: Tinyproxy):
        self.assertEqual(proxy.connects(), {f"{API}:443", f"{STORE}:443"})
        senders = self.senders()
        self.assertEqual(set(senders), {"calls", "chunks"})
        self.assertNotIn(INSIDE, senders["calls"] | senders["chunks"])
        self.assertEqual(violations(self.platform.exchanges, key=KEY), [])

    def assert_no_secret(self, *texts: str):
        """None is in what was said, what is kept for people, or what everybody can see of the process."""
        things: dict[str, str] = {f"text {number}": text for number, text in enumerate(texts)}
        processes = [path.parent for path in Path("/proc").glob("[0-9]*/comm") if path.read_text() == "twelvefs\n"]
        self.assertIn(Path(f"/proc/{self.server}"), processes)
        for process in processes:
            for name in ("cmdline", "environ"):
                things[f"{process}/{name}"] = (process / name).read_bytes().decode(errors="replace")
        self.assertFalse(re.search("(?i)_proxy=", things[f"/proc/{self.server}/environ"]), "it keeps variables of proxies")
        mounted = self.network.path_inside(f"{self.place}/mnt")
        documents = [".status/summary.json", ".status/metrics", *(
            f".status/by-name/{name}.json" for name in os.listdir(mounted))]
        for name in documents:
            things[name] = (mounted / name).read_text(encoding="utf-8")
        for path in (self.place / "state").rglob("*"):
            if path.is_file():
                things[str(path)] = path.read_bytes().decode("latin-1")
        things["log"] = self.log_text()
        things["status"] = self.network.inside(PROGRAM, "status", "--json").stdout
        self.assertIn("upload completed", things["log"])
        self.assertGreater(len(documents), 2)
        for name, text in things.items():
            for number, secret in enumerate(SECRETS):
                self.assertNotIn(secret, text, f"secret {number} is in {name}")

    def assert_refused(self, outcome: subprocess.CompletedProcess, *words: str):
        self.assertNotEqual(outcome.returncode, 0)
        for word in words:
            self.assertRegex(outcome.stdout, word)
        for secret in SECRETS:
            self.assertNotIn(secret, outcome.stdout + self.log_text())
        self.assertEqual(self.platform.exchanges, [])

    # MARK: What holds

    def test_the_network_is_what_it_is_said_to_be(self):
        """By another program: curl gets out by the proxy, to the name that needs none, and no other way."""
        def curl(*options: str) -> tuple[int, str]:
            outcome = self.network.inside("curl", "-sS", "--cacert", str(self.certificates.authority), "--max-time", "20",
                                          "-o", "/dev/null", "-w", "%{http_code}", *options)
            return outcome.returncode, outcome.stdout[-3:]

        self.assertEqual(curl(f"{API_URL}/assets")[0], 6, "no such name")
        self.assertEqual(curl("--resolve", f"{API}:443:{API_ADDRESS}", f"{API_URL}/assets")[0], 7, "no route")
        self.assertEqual(curl("-x", self.open.address, f"{API_URL}/assets?page_limit=1", "-H", f"x-api-key: {KEY}")[0], 0)
        self.assertEqual(self.open.connects(), {f"{API}:443"})
        self.assertEqual(curl("-x", self.guarded.address, f"{API_URL}/assets"), (56, "000"))
        self.assertEqual(curl("-x", self.closed.address, f"{API_URL}/assets"), (56, "000"))
        self.assertEqual(curl(f"https://{DIRECT}/")[0], 0)
        self.assertEqual([each.sender == INSIDE for each in self.platform.exchanges], [False, True])

    def test_without_the_proxy_there_is_no_way(self):
        outcome = self.mount()
        self.assertNotEqual(outcome.returncode, 0)
        self.assertEqual(self.platform.exchanges, [])

    def test_it_copies_by_the_environments_proxy(self):
        for variable in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
            with self.subTest(variable=variable):
                outcome = self.mount(**{variable: f"http://{self.open.address}"})
                self.assertEqual(outcome.returncode, 0, outcome.stdout)
                self.assert_copies(f"{variable}.mp4")
                self.assert_all_by(self.open)
                self.assert_no_secret(outcome.stdout)
                self.unmount()
                self.open.forget()

    def test_it_copies_by_the_option(self):
        outcome = self.mount("--proxy", f"http://{self.open.address}", HTTPS_PROXY=f"http://{self.closed.address}")
        self.assertEqual(outcome.returncode, 0, outcome.stdout)
        self.assert_copies("option.mp4")
        self.assert_all_by(self.open)
        self.assertEqual(self.closed.connects(), set())

    def test_it_copies_with_a_password_from_the_environment(self):
        outcome = self.mount(HTTPS_PROXY=f"http://{USER}:{PASSWORD}@{self.guarded.address}")
        self.assertEqual(outcome.returncode, 0, outcome.stdout)
        self.assert_copies("environment.mp4")
        self.assert_all_by(self.guarded)
        self.assert_no_secret(outcome.stdout, self.guarded.log)

    def test_it_copies_with_a_password_from_a_file(self):
        file = self.place / "proxy"
        file.write_text(f"http://{USER}:{PASSWORD}@{self.guarded.address}\n", encoding="utf-8")
        file.chmod(0o600)
        outcome = self.mount("--proxy-file", str(file))
        self.assertEqual(outcome.returncode, 0, outcome.stdout)
        self.assert_copies("file.mp4")
        self.assert_all_by(self.guarded)
        self.assert_no_secret(outcome.stdout, self.guarded.log)

    def test_a_password_among_the_arguments_is_refused(self):
        outcome = self.mount("--proxy", f"http://{USER}:{PASSWORD}@{self.guarded.address}")
        self.assertNotEqual(outcome.returncode, 0)
        self.assertNotIn(PASSWORD, outcome.stdout)
        self.assertRegex(outcome.stdout, "--proxy-file")
        self.assertEqual(self.guarded.connects(), set())

    def test_a_store_that_needs_no_proxy(self):
        """The API by the proxy and the store directly, at the same time."""
        self.store_is(DIRECT)
        outcome = self.mount(HTTPS_PROXY=f"http://{self.open.address}", NO_PROXY=f"localhost,{DIRECT}")
        self.assertEqual(outcome.returncode, 0, outcome.stdout)
        self.assert_copies("store directly.mp4")
        self.assertEqual(self.open.connects(), {f"{API}:443"})
        senders = self.senders()
        self.assertEqual(senders["chunks"], {INSIDE})
        self.assertNotIn(INSIDE, senders["calls"])

    def test_no_proxy_is_a_rule_of_names_and_not_a_suffix_of_letters(self):
        self.store_is(DIRECT)
        outcome = self.mount(HTTPS_PROXY=f"http://{self.open.address}", NO_PROXY="rect.platform.test, 10.203.0.0/30")
        self.assertEqual(outcome.returncode, 0, outcome.stdout)
        self.assert_copies("no rule.mp4")
        self.assertEqual(self.open.connects(), {f"{API}:443", f"{DIRECT}:443"})
        self.assertNotIn(INSIDE, self.senders()["chunks"])

    def test_a_proxy_that_wants_a_password_is_named(self):
        outcome = self.mount(HTTPS_PROXY=f"http://{self.guarded.address}")
        self.assert_refused(outcome, re.escape(self.guarded.address), "password")

    def test_a_proxy_that_does_not_take_the_password_is_named(self):
        outcome = self.mount(HTTPS_PROXY=f"http://{USER}:not-{PASSWORD}@{self.guarded.address}")
        self.assert_refused(outcome, re.escape(self.guarded.address), "password")

    def test_a_proxy_that_refuses_is_named(self):
        outcome = self.mount(HTTPS_PROXY=f"http://{self.closed.address}")
        self.assert_refused(outcome, re.escape(self.closed.address), "403")

    def test_a_proxy_that_is_not_there_is_named(self):
        outcome = self.mount(HTTPS_PROXY=f"http://{GATEWAY}:9")
        self.assert_refused(outcome, re.escape(f"{GATEWAY}:9"))


if __name__ == "__main__":
    unittest.main()
