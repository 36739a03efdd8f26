"""`python -m sealcast`: the same as the command `sealcast`."""

from sealcast.cli import main

if __name__ == "__main__":
    main()
