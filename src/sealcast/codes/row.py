"""One row of the table of codes, and the three ways to write rows down."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """One row: `stage` is a stage of a leg (or `node`), `http_status` what a request that meets it
    is answered.
    """

    code: str
    stage: str
    sentence: str
    remedy: str
    http_status: int


def answers(stage: str, *rows: tuple[int, str, str, str]) -> tuple[Code, ...]:
    """Rows that a request can be answered with: status, code, sentence, remedy."""
    return tuple(
        Code(code, stage, sentence, remedy, status) for status, code, sentence, remedy in rows
    )


def failures(stage: str, *rows: tuple[str, str, str]) -> tuple[Code, ...]:
    """Rows that no request meets: code, sentence, remedy. If one does all the same, it is a 500."""
    return tuple(Code(code, stage, sentence, remedy, 500) for code, sentence, remedy in rows)


def notes(stage: str, *rows: tuple[str, str, str]) -> tuple[Code, ...]:
    """Rows that are remarks about what went well: code, sentence, remedy."""
    return tuple(Code(code, stage, sentence, remedy, 200) for code, sentence, remedy in rows)
