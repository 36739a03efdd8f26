"""`sealcast watch`: a viewer without a window."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from sealcast.cli.durations import seconds
from sealcast.cli.wrong_usage import bad_argument
from sealcast.errors import RemoteError

if TYPE_CHECKING:
    from sealcast.client import ViewerSession

_SEAL_S = 15.0
_Preset = Literal["strict", "standard", "compatible"]


def watch(
    url: Annotated[str, Parameter(help="A watch page or a WHEP endpoint: https://HOST…")],
    *,
    token: Annotated[str | None, Parameter(help="A watch token, unless the stream is public.")] = (
        None
    ),
    save: Annotated[
        Path | None, Parameter(help="Write what comes to a .mkv or .mp4 file, as it came.")
    ] = None,
    lifetime: Annotated[str | None, Parameter(name="--for", help="Stop after 5s, 10m, ...")] = None,
    ca: Annotated[
        Path | None, Parameter(help="PEM file of the authority to trust, besides the system's.")
    ] = None,
    cert: Annotated[
        Path | None,
        Parameter(help="PEM file of a viewer's chain, for a door that takes certificates."),
    ] = None,
    key: Annotated[Path | None, Parameter(help="PEM file of that chain's key.")] = None,
    policy: Annotated[_Preset, Parameter(help="What the leg must have.")] = "standard",
) -> None:
    """Watch the stream at URL (a watch page or a WHEP endpoint), and print the leg's seal."""
    limit = None if lifetime is None else seconds(lifetime, "--for")
    certificate = None if cert is None or key is None else (cert, key)
    if certificate is None and (cert or key):
        raise bad_argument("--cert and --key come together.")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_watch(url, token, save, limit, ca, certificate, policy))


async def _watch(
    url: str,
    token: str | None,
    save: Path | None,
    limit_s: int | None,
    ca: Path | None,
    certificate: tuple[Path, Path] | None,
    policy: str,
) -> None:
    from sealcast.client import watch as begin
    from sealcast.client.saving import Saving

    began = time.monotonic()
    counted: Counter[str] = Counter()
    async with await begin(
        url, token=token, ca_file=ca, certificate=certificate, policy=policy
    ) as viewer:
        await viewer.sealed(_SEAL_S)
        print(seal_lines(viewer), flush=True)
        saving = None if save is None else Saving(save, viewer.tracks)
        try:
            async with asyncio.timeout(limit_s):
                async for frame in viewer.frames():
                    if not counted:
                        print(f"first frame  after {time.monotonic() - began:.2f} s", flush=True)
                    counted[frame.kind] += 1
                    if saving is not None:
                        saving.write(frame)
            if reason := await end_of(viewer):
                print(f"ended        {reason}", flush=True)
        except TimeoutError:
            pass
        finally:
            if saving is not None:
                saving.close()
            told = ", ".join(f"{number} {kind}" for kind, number in sorted(counted.items()))
            print(f"frames       {told or 'none'}", flush=True)
    if not counted:
        raise RemoteError("CLIENT.NO_MEDIA", "The leg was sealed, but no frame came.")


async def end_of(viewer: ViewerSession) -> str | None:
    """Why the node ended the leg, in its own words; on the wire it said only goodbye."""
    try:
        leg = await viewer.leg()
    except Exception:
        # The node may be gone as well; that the leg is over is known without it.
        return None
    if leg is None or leg["end"] is None:
        return None
    end = leg["end"]
    parts = (f"{end['code']}:", end["sentence"], end["detail"])
    return " ".join(part for part in parts if part)


def seal_lines(viewer: ViewerSession) -> str:
    """The seal and where the leg runs, a fact per line."""
    seal, progress = viewer.seal, viewer.progress
    if seal is None:
        return "not sealed"
    path = progress.path or ("?", "?")
    lines = [
        f"sealed       {seal.protocol} {seal.version}, {seal.cipher}, {seal.group}",
        f"media        {seal.srtp_profile}"
        + (", post-quantum key exchange" if seal.post_quantum else ""),
        f"node         {seal.peer_fingerprint} (named by its HTTPS answer)",
        f"path         {path[0]} to {path[1]}",
        "stages       "
        + ", ".join(f"{stage} {elapsed:.0f} ms" for stage, elapsed in progress.stages.items()),
        "tracks       " + ", ".join(f"{track.kind} {track.codec}" for track in viewer.tracks),
    ]
    lines += [f"note         {code}" for code in progress.notes]
    return "\n".join(lines)
