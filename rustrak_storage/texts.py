"""Texts as every database takes them: cut to a column's length, free of NUL and of lone surrogates."""


def clean(text: str, limit: int) -> str:
    """Return *text* cut to *limit* characters, NUL removed and lone surrogates as U+FFFD.

    What was digested is clean already; this is the store's own guard, and cheap where nothing is to be done.
    """
    if len(text) > limit:
        text = text[:limit]
    if "\0" in text:
        text = text.replace("\0", "")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def clean_or_none(text: str | None, limit: int) -> str | None:
    """Return `clean` of *text*, None as it is."""
    return None if text is None else clean(text, limit)


def fold(*texts: str) -> str:
    """Return *texts* as one line each, case-folded: what search words are looked for in."""
    return "\n".join(texts).casefold()
