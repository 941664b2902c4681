"""A certificate for tests that speak HTTPS, made by openssl on the spot."""

import subprocess
from pathlib import Path

from scripts.provide_programs import provide


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for this machine and for contacts.example.org, which vouches for itself, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1,DNS:contacts.example.org"
    command = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=localhost"]
    files = ["-addext", names, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([str(provide("openssl")), *command, *files], check=True, capture_output=True)
    return certificate, key
