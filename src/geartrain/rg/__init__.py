"""The Python half of the RG.* commands: what the server module hands to workers, done and answered.

    client ──RG.X──> module ──lane──> calls ──> service ──admin──> commands ────────────────────> answer
                                                  └──script──> executors ──a process each──> executor

`python -m geartrain.rg` is the service, a child of each worker; `python -m geartrain.rg.executor` runs scripts.
"""
