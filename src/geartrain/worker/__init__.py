"""Workers: processes that own partitions, read, execute and commit."""
