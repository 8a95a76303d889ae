# What happens to an entry that cannot be worked on, by policy. Each stream has one; `geartrain ls` shows how they fare.
#
#     redis-cli -p PORT XADD retried '*' needs door      then: redis-cli -p PORT SET door open
#     redis-cli -p PORT XADD limited '*' needs luck      is tried three times, then the registration is aborted
#     redis-cli -p PORT XADD skipped '*' needs luck      is counted as failed, and the next entry's turn comes
#     redis-cli -p PORT XADD aborted '*' needs luck      the registration is aborted at once
from __future__ import annotations


def work(entry):
    if not execute("EXISTS", entry["needs"]):
        raise LookupError(f"there is no {entry['needs']} yet")
    execute("INCR", f"done:{streamKey()}")


GB("StreamReader").foreach(work).register("retried", onFailedPolicy="retry", onFailedRetryInterval=0.2)
GB("StreamReader").foreach(work).register("limited", onFailedPolicy="retry", onFailedRetryInterval=0.1, maxRetries=2)
GB("StreamReader").foreach(work).register("skipped", onFailedPolicy="continue")
GB("StreamReader").foreach(work).register("aborted", onFailedPolicy="abort")
