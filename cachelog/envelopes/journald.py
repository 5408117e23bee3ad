"""systemd's journal as `journalctl -o json` writes it: all fields of an entry as texts.

A text with bytes that are no UTF-8 or that no terminal should see, such as colours, is an array of numbers.
"""

from __future__ import annotations

from cachelog.contract.layout import Layout

NAME = "journald"
SOURCE = "systemd: Journal Export Formats, Journal JSON Format; systemd.journal-fields(7)"
BLIND = "texts of 4 KiB and more are null unless --all was given"
SAMPLES = (
    '{"__CURSOR":"s=e","__REALTIME_TIMESTAMP":"1795446990240427","_BOOT_ID":"0d","PRIORITY":"6","_HOSTNAME":"scorer-0",'
    '"SYSLOG_IDENTIFIER":"python","MESSAGE":"INFO uvicorn.error: ready"}',
    '{ "__REALTIME_TIMESTAMP" : "1795446990240427", "MESSAGE" : [27,91,51,50,109,73,78,70,79,27,91,48,109] }',
)

LAYOUTS = (
    Layout(
        payload=("MESSAGE",),
        time=("_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP"),
        replica=("CONTAINER_NAME", "_HOSTNAME", "_MACHINE_ID"),
        tells=(("__REALTIME_TIMESTAMP",), ("MESSAGE", "_BOOT_ID", "__CURSOR")),
    ),
)
