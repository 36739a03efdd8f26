"""The node as a program: its configuration, its commands, its end."""

from typing import Final

from sealcast.codes.row import answers, failures

_MEDIA_ANSWERS: Final = answers(
    "media",
    (
        503,
        "NODE.STOPPING",
        "The node is shutting down.",
        "Join again when it is back.",
    ),
)

_MEDIA: Final = failures(
    "media",
    (
        "NODE.CLOSED_BY_NODE",
        "The node closed the connection.",
        "The leg's own code says why.",
    ),
)

_NODE: Final = failures(
    "node",
    (
        "CORE.BAD_ARGUMENT",
        "The native side was called wrongly.",
        "A fault of this node; report it.",
    ),
    (
        "CONFIG.UNREADABLE",
        "The configuration file cannot be read.",
        "Check the path and the file's permissions.",
    ),
    ("CONFIG.SYNTAX", "The configuration is not valid TOML.", "Correct the line in the detail."),
    (
        "CONFIG.UNKNOWN_KEY",
        "The configuration has a key that does not exist.",
        "Correct or remove it; `sealcast config --schema` lists every key.",
    ),
    (
        "CONFIG.WRONG_TYPE",
        "A value of the configuration has the wrong type.",
        "Give the type that the detail names.",
    ),
    (
        "CONFIG.BAD_VALUE",
        "A value of the configuration is not admitted.",
        "Give one of the values that the detail names.",
    ),
    (
        "CONFIG.UNKNOWN_POLICY",
        "The configuration names a policy that does not exist.",
        "Use strict, standard or compatible.",
    ),
    (
        "CLI.BAD_ARGUMENT",
        "That is no command line of sealcast.",
        "Correct that and run it again; nothing was done.",
    ),
    (
        "CLI.REFUSED_BY_SYSTEM",
        "The system does not let this command use a file.",
        "Run it as the user whose file it is (the node's), or name another file.",
    ),
    (
        "CLI.NOT_INSTALLED",
        "A package that the command needs is not installed.",
        "Install the command with its packages: pip install 'sealcast[server]'.",
    ),
    (
        "DEMO.NO_ENCODER",
        "The demo's encoder is missing or stopped.",
        "Install the package imageio-ffmpeg, or ffmpeg; the detail has its words.",
    ),
)

ROWS: Final = (*_MEDIA_ANSWERS, *_MEDIA, *_NODE)
