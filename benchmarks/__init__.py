"""The benchmarks: `make bench`, or `python -m benchmarks --help`.

stats, report, gates    figures, tables and verdicts; no I/O
arena                   one server, one worker process, one stream to drain: what all measurements share
peers/                  what Geartrain is compared with, each a program as its users write it
throughput, latency, scale, spec_example
                        the measurements; each returns its tables, and the gates that it can judge
page                    all of it as one page, for people and as `docs/benchmarks.md`
"""
