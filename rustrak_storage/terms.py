"""Terms of events, as stores keep them."""

import hashlib
from collections.abc import Sequence

import orjson

from rustrak_core.digest import read_payload
from rustrak_core.digested import Digested, StoredEvent
from rustrak_core.grouping.similar import message_terms, terms_of
from rustrak_core.similar import Term
from rustrak_storage.texts import clean


def terms_of_event(event: Digested | StoredEvent) -> tuple[Term, ...]:
    """Return the terms of an event; those of its title where the payload was shed, or cannot be read."""
    payload = None if event.payload is None else read_payload(event.payload, event.kind, event.hints)
    if payload is None:
        return message_terms(event.type, event.message)
    return terms_of(payload, event.kind)


def term_hash(term: Term) -> bytes:
    """Return the 8 bytes by which a term is found."""
    text = f"{term.kind}:{term.text}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=8).digest()


def terms_json(terms: Sequence[Term]) -> str:
    """Return *terms* as the text that their column holds."""
    return orjson.dumps([[term.kind, clean(term.text, len(term.text))] for term in terms]).decode()


def terms_from_json(text: str) -> list[Term]:
    """Return the terms in the column's *text*.

    Raises:
        ValueError: it holds none.
    """
    return [Term(kind, said) for kind, said in orjson.loads(text)]
