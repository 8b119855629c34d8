"""What columns are good at: events of any store as a dataset, and questions to it, by DuckDB.

`export` makes and continues a dataset, `Dataset` reads one. Nothing else of Rustrak loads DuckDB.
"""

from rustrak_storage.duck.about import About
from rustrak_storage.duck.answer import Answer
from rustrak_storage.duck.dataset import Dataset
from rustrak_storage.duck.errors import DatasetError, MissingLibraryError, StatementError, UnknownQuestionError
from rustrak_storage.duck.exporting import Exported, export
from rustrak_storage.duck.filed import FiledProject
from rustrak_storage.duck.question import Question, questions

__all__ = [
    "About",
    "Answer",
    "Dataset",
    "DatasetError",
    "Exported",
    "FiledProject",
    "MissingLibraryError",
    "Question",
    "StatementError",
    "UnknownQuestionError",
    "export",
    "questions",
]
