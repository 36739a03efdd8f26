"""The blocks of `docs/acme.md` are run: the configurations as they stand, but for the authority's
address and the ports, and the commands.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sealcast.testing.requirement import require

require("core", "go", "acme", "openssl")
from tests.interop.pebble import HOST, Pebble  # noqa: E402 - needs them

from sealcast.testing.node_process import free_port  # noqa: E402
from sealcast.testing.waiting import wait_for  # noqa: E402

PAGE = (Path(__file__).parents[2] / "docs" / "acme.md").read_text()
TABLES = re.findall(r"^```toml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
CHECK, LOOK, BIND = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
HMAC_KEY = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"


@pytest.mark.parametrize(
    "table", TABLES, ids=["at the public door", "at port 80", "bound to a customer"]
)
def test_the_page_leads_to_a_certificate(tmp_path: Path, table: str) -> None:
    port, http_port, media = (free_port(["127.0.0.1"]) for _ in range(3))
    customers = {"kid-1": HMAC_KEY} if "eab_kid" in table else None
    pebble = Pebble(tmp_path, port, http_port, customers=customers)
    here = {
        "https://acme-v02.api.letsencrypt.org/directory": pebble.directory,
        "0.0.0.0:443": f"127.0.0.1:{port}",
        "0.0.0.0:8443": f"127.0.0.1:{port}",
        "0.0.0.0:80": f"127.0.0.1:{http_port}",
    }
    for public, own in here.items():
        table = table.replace(f'"{public}"', f'"{own}"')
    more = f'trust = "{pebble.trust}"\n[doors.secure]\nbind = []\n[doors.ingest_ts]\nbind = []\n'
    more += f'[media]\nbind = ["127.0.0.1:{media}"]\n'
    (tmp_path / "sealcast.toml").write_text(table + more)
    source = str(Path(__file__).parents[2] / "src")
    environment = {
        **os.environ,
        "PYTHONPATH": source,
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "HMAC_KEY": HMAC_KEY,
    }
    sealcast = f"{sys.executable} -m sealcast"

    def run(command: str) -> str:
        command = command.replace("sealcast config", f"{sealcast} config")
        command = command.replace(f"-connect {HOST}:443", f"-connect 127.0.0.1:{port}")
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.stdout

    with pebble.running(), (tmp_path / "log").open("wb") as log:
        run(BIND)
        assert pebble.directory in run(CHECK)
        serve = [*sealcast.split(), "serve", "-c", "sealcast.toml"]
        node = subprocess.Popen(
            serve, cwd=tmp_path, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            wait_for(
                lambda: "Pebble Intermediate" in run(LOOK),
                what="a certificate of Pebble's",
                timeout_s=60,
                explain=(tmp_path / "log").read_text,
            )
        finally:
            node.send_signal(signal.SIGINT)
            node.wait(30)
