"""What `geartrain doctor` looks at, one module for each subject; each check is a function that gives findings."""
