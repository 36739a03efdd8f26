"""What one packet costs in instructions: a gate that no busy machine can shake.

Does: counts what protecting, opening and forwarding a packet executes (`tools/counted` builds the
programs) and compares it with `expected.toml`. `docs/decisions/0011` says what is compared and why
it is the same everywhere.

Does not: measure time. Valgrind shows programs a processor with AES-NI and AVX2, without VAES,
AVX-512 and SHA-NI, whatever the real one has; `make bench` measures those.

`make instructions` renews the table.
"""
