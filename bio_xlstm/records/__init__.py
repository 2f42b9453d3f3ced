"""Records: every input file as a stream of (row, id, text)."""

from bio_xlstm.records.detect import detect_kind
from bio_xlstm.records.formats import FORMATS, KINDS
from bio_xlstm.records.record import Record, place
from bio_xlstm.records.source import RecordSource, open_records

__all__ = ["FORMATS", "KINDS", "Record", "RecordSource", "detect_kind", "open_records", "place"]
