"""Answers what Python's logging makes of formats, times and messages.

Reads one JSON value from standard input: `record` is the attributes of a
record, `formats` a list of [style, format, datefmt]; the answer is a list with
the text that each gives, or null where Python refuses the format. With
`syslog`, a path, it also sends the record there with a SysLogHandler.
"""
import json
import logging
import logging.handlers
import os
import sys
import time

asked = json.load(sys.stdin)
os.environ["TZ"] = "UTC"
time.tzset()
record = logging.LogRecord("", 0, "", 0, asked["record"]["message"], None, None)
record.__dict__.update(asked["record"])


def write(style, text, datefmt):
    try:
        return logging.Formatter(text, datefmt, style).format(record)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


if "syslog" in asked:
    handler = logging.handlers.SysLogHandler(asked["syslog"], facility=asked["facility"])
    handler.handle(record)
json.dump([write(*each) for each in asked["formats"]], sys.stdout)
