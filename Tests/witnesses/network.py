"""A network whose only way out is a proxy, of namespaces that go with the processes that hold them.

    inside 10.203.0.2  ──veth──  10.203.0.1 outside: the proxies, and in its back the platform 10.204.0.1, its store .2

This program itself has to run in network, mount and process namespaces of its own, which are the outside: run.sh sees to
it. Whoever is inside knows no name but `direct.platform.test`, which is 10.203.0.1, and has no route to anywhere else.
"""
import datetime
import os
import ssl
import subprocess
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mounting import eventually

INSIDE, GATEWAY, API_ADDRESS, STORE_ADDRESS = "10.203.0.2", "10.203.0.1", "10.204.0.1", "10.204.0.2"
API, STORE, DIRECT = "api.platform.test", "store.platform.test", "direct.platform.test"


def run(*command: str) -> None:
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    if outcome.returncode:
        raise RuntimeError(f"{command}: {outcome.stderr or outcome.stdout}")


class Network:
    """Both sides; `stop` ends the inside, and with it all that was done to this side."""

    def __init__(self, folder: Path):
        if os.readlink("/proc/self/ns/net") == os.environ["NET_OF_THE_CALLER"]:
            raise RuntimeError("this would change the network of the machine: run it by run.sh")
        run("ip", "link", "set", "lo", "up")
        for address in (API_ADDRESS, STORE_ADDRESS):
            run("ip", "address", "add", f"{address}/32", "dev", "lo")
        self._hosts(folder / "hosts-outside", {API: API_ADDRESS, STORE: STORE_ADDRESS, DIRECT: GATEWAY}, [])
        self.holder = subprocess.Popen(["unshare", "--net", "--mount", "sleep", "infinity"], stdin=subprocess.DEVNULL)
        pid = self.holder.pid
        eventually("there is another network", lambda: (
            os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")
            and Path(f"/proc/{pid}/comm").read_text(encoding="utf-8") == "sleep\n"))
        self.enter = ["nsenter", f"--net=/proc/{pid}/ns/net", f"--mount=/proc/{pid}/ns/mnt", "--"]
        run("ip", "link", "add", "gateway", "type", "veth", "peer", "name", "inside", "netns", str(pid))
        run("ip", "address", "add", f"{GATEWAY}/30", "dev", "gateway")
        run("ip", "link", "set", "gateway", "up")
        run(*self.enter, "ip", "address", "add", f"{INSIDE}/30", "dev", "inside")
        run(*self.enter, "ip", "link", "set", "inside", "up")
        run(*self.enter, "ip", "link", "set", "lo", "up")
        self._hosts(folder / "hosts-inside", {DIRECT: GATEWAY}, self.enter)

    @staticmethod
    def _hosts(path: Path, names: dict[str, str], enter: list[str]) -> None:
        lines = ["127.0.0.1 localhost", *(f"{address} {name}" for name, address in names.items())]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        run(*enter, "mount", "--bind", str(path), "/etc/hosts")

    def inside(self, *command: str, environment: dict[str, str] | None = None, timeout: float = 120):
        """Runs a command inside, with nothing of this program's own environment but the path."""
        return subprocess.run(
            [*self.enter, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", timeout=timeout, check=False, cwd="/",
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **(environment or {})})

    def path_inside(self, path: str) -> Path:
        """Where a file of the inside, such as one in a mount there, is for this program."""
        return Path(f"/proc/{self.holder.pid}/root/{path}")

    def stop(self) -> None:
        self.holder.kill()
        self.holder.wait()


class Tinyproxy:
    """One proxy of the gateway, with its log."""

    def __init__(self, folder: Path, name: str, port: int, *settings: str):
        self.address = f"{GATEWAY}:{port}"
        self._log = folder / f"{name}.log"
        self._known = 0
        configuration = folder / f"{name}.conf"
        configuration.write_text("\n".join([
            f"Port {port}", f"Listen {GATEWAY}", "Timeout 60", f'LogFile "{self._log}"', "LogLevel Info",
            "MaxClients 100", "DisableViaHeader Yes", *settings]) + "\n", encoding="utf-8")
        self.process = subprocess.Popen(
            ["tinyproxy", "-d", "-c", str(configuration)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        eventually("the proxy listens", lambda: "Accepting connections" in self.log)

    @property
    def log(self) -> str:
        """What it has logged since it was last told to forget."""
        text = self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""
        return text[self._known :]

    def forget(self) -> None:
        self._known += len(self.log)

    def connects(self) -> set[str]:
        """What it was asked to connect to."""
        return {word for line in self.log.splitlines() if ": CONNECT " in line
                for word in [line.partition(": CONNECT ")[2].split()[0]]}

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


class Certificates:
    """An authority of a day, and a certificate for these names by it."""

    def __init__(self, folder: Path, *names: str):
        self.authority, chain = folder / "authority.pem", folder / "server.pem"
        key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority of a test")])
        authority = self._certificate(issuer, issuer, key.public_key(), key, x509.BasicConstraints(True, None))
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        server = self._certificate(
            subject, issuer, server_key.public_key(), key,
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]))
        self.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
        chain.write_bytes(server.public_bytes(serialization.Encoding.PEM) + server_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(chain)

    @staticmethod
    def _certificate(subject, issuer, public_key, key, extension) -> x509.Certificate:
        now = datetime.datetime.now(datetime.timezone.utc)
        return (
            x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public_key)
            .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1)).add_extension(extension, critical=True)
            .sign(key, hashes.SHA256()))
