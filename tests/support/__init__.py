"""What the tests are made with: servers, waiting, processes, a proxy. No test is in here."""
