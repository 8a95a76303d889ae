"""The benchmarks: `make bench`, or `python -m benchmarks --help`.

suite       what a benchmark is: kind, contestants, method, traps; how contestants take turns; no I/O
stats       ratios, gates and their verdicts; no I/O
parts/      the benchmarks, a module each: it measures, and gives tables, gates and charts
stage/      where they take place: servers, workers, streams, programs, and who watches them
peers/      what Geartrain is compared with, each a program as its users write it
report      tables, as text and as Markdown
charts      what is drawn, as data; `plots` draws it as SVG
page        all of it as one page, for people and as `docs/benchmarks.md`
"""
