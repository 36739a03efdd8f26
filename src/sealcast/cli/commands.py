"""All verbs by name. Each is imported when it is called: `sealcast config` needs no web server."""

from __future__ import annotations

from cyclopts import App

from sealcast import __version__

app = App(
    name="sealcast",
    help="Live streaming in which every leg is encrypted and both of its ends are named.",
    version=__version__,
    # Examples are shown as they are typed, line by line.
    help_format="plaintext",
)
app.command(
    "sealcast.cli.serve:serve", name="serve", help="Run a node: doors, media, API and pages."
)
app.command(
    "sealcast.cli.demo:demo",
    name="demo",
    help="Show the main job: an encoder, a node, a viewer, every leg with its seal.",
)
app.command(
    "sealcast.cli.publish:publish",
    name="publish",
    help="""Publish with FFmpeg over mutual TLS; certificates change without a gap.

    FFmpeg writes to a pipe, and the connection is ours. When the certificate's files change, a
    second connection is made with the new one and the stream goes over at a key frame; viewers see
    nothing of it. While the node is gone it is asked again and again, and FFmpeg runs on.

    Which stream it is, the node decides by the certificate's name.
    """,
)
app.command(
    "sealcast.cli.watch:watch",
    name="watch",
    help="Watch a stream without a window; save it; print the leg's seal.",
)
app.command(
    "sealcast.cli.legs:legs", name="legs", help="Show the legs of a running node, with their seals."
)
app.command(
    "sealcast.cli.doors:doors", name="doors", help="What each door demands, and what it shows."
)
app.command(
    "sealcast.cli.config:config",
    name="config",
    help="Print the effective configuration or its schema.",
)

app.command(
    "sealcast.cli.agent:agent",
    name="agent",
    help="Keep certificates alive: renew them in time, beside an encoder or a node.",
)

token = App(name="token", help="Issue short-lived tokens for one stream and one purpose.")
token.command("sealcast.cli.token:publish", name="publish", help="A token that publishes a stream.")
token.command("sealcast.cli.token:watch", name="watch", help="A token that watches a stream.")
token.command("sealcast.cli.token:admin", name="admin", help="A token that reads legs and metrics.")
app.command(token)

admin = App(name="admin", help="Administrators who log in with a password and a code.")
admin.command("sealcast.cli.admin:add", name="add", help="A new administrator.")
admin.command("sealcast.cli.admin:list_", name="list", help="Who there is.")
admin.command("sealcast.cli.admin:reset", name="reset", help="A new password and secret.")
admin.command("sealcast.cli.admin:remove", name="remove", help="End an account and its sessions.")
app.command(admin)

identity = App(name="identity", help="Make an authority; issue certificates; see what it issued.")
identity.command("sealcast.cli.identity:init", name="init", help="Make an authority.")
identity.command("sealcast.cli.identity:issue", name="issue", help="A certificate for a name.")
identity.command(
    "sealcast.cli.identity:sign", name="sign", help="A certificate for a signing request."
)
identity.command(
    "sealcast.cli.identity_request:request",
    name="request",
    help="A signing request for a key in a token.",
)
identity.command(
    "sealcast.cli.identity_token:token", name="token", help="A token that enrols one end, once."
)
identity.command(
    "sealcast.cli.identity_explain:explain",
    name="explain",
    help="Whether a certificate or token may do something, and why.",
)
identity.command(
    "sealcast.cli.identity_enroll:enroll", name="enroll", help="Get a certificate with a token."
)
identity.command("sealcast.cli.identity:list_", name="list", help="What was issued.")
identity.command("sealcast.cli.identity:show", name="show", help="What was issued to a name.")
identity.command(
    "sealcast.cli.identity_revoke:revoke", name="revoke", help="End what a name was given."
)
identity.command(
    "sealcast.cli.identity_crl:crl", name="crl", help="What was revoked, as lists for others."
)
identity.command(
    "sealcast.cli.identity_roll:roll", name="roll", help="New authorities in place of the old."
)
identity.command("sealcast.cli.identity_due:due", name="due", help="What ends soon.")
identity.command(
    "sealcast.cli.identity_backup:backup", name="backup", help="Copy the authority into a file."
)
identity.command(
    "sealcast.cli.identity_backup:restore", name="restore", help="Bring it back from a copy."
)
app.command(identity)
