"""The pages: watch, publish, the list of streams, enrolment, and administration.

Does: serves plain ES modules, two style sheets and HTML files under a strict content security
policy, and knows which path shows which page. All of it works without a network other than the
node's own.

Does not: judge anything. The pages speak WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep-03) to the
node as any other client would, with the bearer token that stands in the fragment of their address,
so it never reaches a request line.

The caller must still: hand :func:`sealcast.web.pages.routes` to the application that serves the
public door. The node itself never imports this package.
"""
