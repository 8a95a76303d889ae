"""What Geartrain is compared with: each module is a program that `arena` starts as a process of its own."""
