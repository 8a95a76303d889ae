"""The Python half of the server module: what runs in the server's own interpreter, on its main thread.

`entry` is imported by the module (native/sync.c). Nothing here is imported elsewhere; the builtin module `_geartrain`,
through which it reaches the server, exists only there.
"""
