"""Certificates for tests, made by the openssl command when they are needed."""

from __future__ import annotations

import pathlib
import subprocess
import tempfile
from typing import NamedTuple

_CA = """
[ca]
default_ca = it
[it]
database = index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
x509_extensions = given
[any]
organizationName = optional
commonName = supplied
[given]
"""


class Pair(NamedTuple):
    """A key and its certificate chain, in PEM."""

    key: bytes
    chain: bytes


class Authority:
    """A certificate authority of a test."""

    def __init__(self, name: str = "Test CA") -> None:
        self._made = tempfile.TemporaryDirectory(prefix="certificates-")
        self.folder = pathlib.Path(self._made.name)
        (self.folder / "index.txt").write_text("")
        self._key("ca")
        self._openssl("req", "-x509", "-new", "-key", "ca.key", "-days", "30", "-subj", f"/CN={name}", "-out", "ca.pem")
        self.root = (self.folder / "ca.pem").read_bytes()

    def issue(self, name: str, *names: str, dates: tuple[str, str] | None = None, organization: str = "") -> Pair:
        """A certificate of common name `name`, for `names`: "DNS:localhost", "IP:127.0.0.1", "URI:x://y"."""
        self._key("its")
        subject = (f"/O={organization}" if organization else "") + f"/CN={name}"
        self._openssl("req", "-new", "-key", "its.key", "-subj", subject, "-out", "its.csr")
        extension = f"subjectAltName={','.join(names)}\n" if names else "keyUsage=digitalSignature\n"
        (self.folder / "ca.cnf").write_text(_CA + extension)
        first, last = dates or ("20200101000000Z", "20500101000000Z")
        made = ("-cert", "ca.pem", "-keyfile", "ca.key", "-in", "its.csr", "-out", "its.pem")
        self._openssl("ca", "-batch", "-config", "ca.cnf", "-startdate", first, "-enddate", last, "-notext", *made)
        return Pair((self.folder / "its.key").read_bytes(), (self.folder / "its.pem").read_bytes())

    def self_signed(self, name: str) -> Pair:
        """As people make them: a certificate that is its own authority."""
        self._key("own")
        names = ("-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}")
        self._openssl("req", "-x509", "-new", "-key", "own.key", "-days", "30", *names, "-out", "own.pem")
        return Pair((self.folder / "own.key").read_bytes(), (self.folder / "own.pem").read_bytes())

    def _key(self, name: str) -> None:
        curve = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        self._openssl("genpkey", *curve, "-out", f"{name}.key")

    def _openssl(self, *arguments: str) -> None:
        done = subprocess.run(["openssl", *arguments], cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
