"""The event payload, in all the forms in which SDKs send it (SDK.md, section 10).

It is read in two ways that share their rules: field by field for the columns that digesting fills, where lengths are
cut and what is unfit is dropped; and whole, in one form, as a reader sees it, where nothing is lost but what cannot be
read, and that is noted.
"""

from rustrak_core.event.form import one_form
from rustrak_core.event.problems import Problems
from rustrak_core.event.title import Title, title_of

__all__ = ["Problems", "Title", "one_form", "title_of"]
