# The specification's stream example: every entry of the stream s1 is kept under its id.
#
#     geartrain run examples/first_stream.py
#     redis-cli -p PORT XADD s1 '*' temperature 21
#     redis-cli -p PORT KEYS '*-*'
from __future__ import annotations

GearsBuilder("StreamReader").foreach(lambda x: execute("set", x["streamId"], str(x))).register("s1")
