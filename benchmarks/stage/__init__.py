"""Where benchmarks take place: servers, workers, streams, the programs of others, and who watches them."""
